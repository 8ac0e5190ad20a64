#include "passes/packed_layers.h"

#include <algorithm>
#include <map>

#include "passes/placement.h"
#include "runtime/integer_weight.h"

namespace fewbit {
namespace {

// A constant [rows] of the layer's own: bias correction changes it.
ValueId own_bias(Graph& graph, NodeId id, const QuantizedLayer& layer) {
  const ValueId bias = graph.add_constant(graph.unique_name(layer.name + ".bias"), layer.bias);
  graph.set_input(id, 2, bias);
  return bias;
}

Result<std::optional<QuantizedLayer>> layer_of(Graph& graph, NodeId id, const Graph& float_graph,
                                               const Node& float_node) {
  const Node& node = graph.node(id);
  const std::optional<Dequantized> input = dequantized(graph, node.input(0));
  const Tensor* weight = float_graph.constant(float_node.input(1));
  if (!input || weight == nullptr || weight->type() != DType::kFloat32) {
    return std::optional<QuantizedLayer>();
  }
  QuantizedLayer layer;
  layer.name = layer_name(graph, node);
  layer.op_type = node.op_type;
  layer.node = id;
  layer.input_codes = input->quantized;
  layer.input_params = input->params;
  layer.weight = *weight;
  const Node& decode = graph.node(graph.value(node.input(1)).producer);
  FEWBIT_ASSIGN(const PackedMatrix matrix, packed_matrix(graph, decode));
  FEWBIT_ASSIGN(layer.weight_scale, integer_scales(matrix));
  layer.integers = integer_tensor(matrix, layer.weight_scale, decode.get_ints("dims"),
                                  decode.get_int("transposed", 0) != 0);
  layer.weight_zero.assign(layer.weight_scale.size(), 0);
  layer.rows = matrix.rows;
  layer.bias = Tensor::zeros(DType::kFloat32, {layer.rows});
  if (const Tensor* bias = float_graph.constant(float_node.input(2)); bias != nullptr) {
    if (bias->type() != DType::kFloat32 || bias->elements() != layer.rows) {
      return std::optional<QuantizedLayer>();
    }
    std::copy_n(bias->data<float>(), layer.rows, layer.bias.data<float>());
  }
  layer.bias_codes = own_bias(graph, id, layer);
  return std::optional(std::move(layer));
}

}  // namespace

Result<std::vector<QuantizedLayer>> packed_layers(Graph& graph, const Graph& float_graph,
                                                  const std::vector<PackedLayer>& packed) {
  std::map<std::string, NodeId> float_nodes;
  for (NodeId id : float_graph.order()) {
    float_nodes.emplace(layer_name(float_graph, float_graph.node(id)), id);
  }
  std::vector<QuantizedLayer> layers;
  const std::vector<NodeId> order = graph.order();
  for (NodeId id : order) {
    const Node& node = graph.node(id);
    if (!node.is("Conv") && !node.is("Gemm")) continue;
    const std::string name = layer_name(graph, node);
    const auto float_node = float_nodes.find(name);
    const bool on_codes = std::any_of(packed.begin(), packed.end(), [&](const PackedLayer& p) {
      return p.name == name && p.on_codes;
    });
    if (!on_codes || float_node == float_nodes.end()) continue;
    FEWBIT_ASSIGN(std::optional<QuantizedLayer> layer,
                  layer_of(graph, id, float_graph, float_graph.node(float_node->second)));
    if (layer) layers.push_back(std::move(*layer));
  }
  return layers;
}

}  // namespace fewbit
