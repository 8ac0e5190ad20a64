#include "passes/correct_bias.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/progress.h"
#include "calib/layer_statistics.h"
#include "runtime/rewrite/rewrite.h"

namespace fewbit {
namespace {

// Dequantized weight of row r at position k, in the layout of the float weight.
struct WeightView {
  const QuantizedLayer& layer;
  const Tensor& codes;
  int64_t elems;    // per row
  bool transposed;  // [elems, rows]

  int64_t place(int64_t row, int64_t k) const {
    return transposed ? k * layer.rows + row : row * elems + k;
  }
  double original(int64_t row, int64_t k) const {
    return layer.weight.data<float>()[place(row, k)];
  }
  double quantized(int64_t row, int64_t k) const {
    auto i = layer.weight_scale.size() == 1 ? 0 : static_cast<size_t>(row);
    return layer.weight_scale[i] *
           (codes.data<int8_t>()[place(row, k)] - static_cast<double>(layer.weight_zero[i]));
  }
};

WeightView view_of(const Graph& graph, const QuantizedLayer& layer) {
  const Node& node = graph.node(layer.node);
  bool transposed = !node.is("Conv") && !(node.is("Gemm") && node.get_int("transB", 0) != 0);
  const Tensor& codes =
      layer.weight_codes == kNone ? layer.integers : *graph.constant(layer.weight_codes);
  return {layer, codes, layer.weight.elements() / layer.rows, transposed};
}

// What one of a row's bias codes stands for; 1 for a float bias.
double bias_scale(const Tensor& bias, const QuantizedLayer& layer, int64_t row) {
  if (bias.type() == DType::kFloat32) return 1;
  auto i = layer.weight_scale.size() == 1 ? 0 : static_cast<size_t>(row);
  return static_cast<double>(layer.input_params.scale[0]) * layer.weight_scale[i];
}

double bias_of(const Tensor& bias, const QuantizedLayer& layer, int64_t row) {
  if (bias.type() == DType::kFloat32) return bias.data<float>()[row];
  return bias.data<int32_t>()[row] * bias_scale(bias, layer, row);
}

// Adds `delta` (real units) to the bias of row r.
void shift_bias(Tensor& bias, const QuantizedLayer& layer, int64_t row, double delta) {
  if (bias.type() == DType::kFloat32) {
    bias.data<float>()[row] += static_cast<float>(delta);
    return;
  }
  const double scale = bias_scale(bias, layer, row);
  double code = bias.data<int32_t>()[row] + std::nearbyint(delta / scale);
  constexpr double kLimit = 1 << 30;
  bias.data<int32_t>()[row] = static_cast<int32_t>(std::clamp(code, -kLimit, kLimit));
}

// group of an output row, and where its means start
size_t mean_offset(const PatchGeometry& g, int64_t rows, int64_t row) {
  int64_t group = row / (rows / g.groups);
  return static_cast<size_t>(group * g.group_elems());
}

Status correct_weight_error(Graph& graph, const std::vector<QuantizedLayer>& layers,
                            const InputMeans& means) {
  for (const QuantizedLayer& layer : layers) {
    if (layer.bias_codes == kNone || layer.input_codes == kNone) continue;
    FEWBIT_ASSIGN(PatchGeometry g, patch_geometry(graph, graph.node(layer.node)));
    WeightView w = view_of(graph, layer);
    const std::vector<double>& mean = means.at(layer.name);
    Tensor bias = graph.constant(layer.bias_codes)->clone();
    for (int64_t row = 0; row < layer.rows; ++row) {
      size_t offset = mean_offset(g, layer.rows, row);
      double delta = 0;
      for (int64_t k = 0; k < w.elems; ++k) {
        delta += (w.original(row, k) - w.quantized(row, k)) * mean[offset + static_cast<size_t>(k)];
      }
      shift_bias(bias, layer, row, delta);
    }
    graph.value(layer.bias_codes).constant = std::make_shared<const Tensor>(std::move(bias));
  }
  return {};
}

// Mean of the layer's input codes with all layers before it as they are now. Only the part of the
// network that leads to the input runs.
Result<std::vector<double>> measured_means(const Model& model, const QuantizedLayer& layer,
                                           const PatchGeometry& geometry,
                                           const BatchSource& batches, int threads) {
  Model prefix = model;
  prefix.graph.outputs = {layer.input_codes};
  FEWBIT_TRY(remove_dead_nodes(prefix.graph, {}));
  SessionOptions options;
  options.threads = threads;
  FEWBIT_ASSIGN(Session session, Session::create(std::move(prefix), options));
  LayerStatistics statistics(geometry, {});
  const QuantParams& p = layer.input_params;
  for (int64_t i = 0; i < batches.count; ++i) {
    FEWBIT_ASSIGN(Feeds feeds, batches.get(i));
    FEWBIT_ASSIGN(std::vector<RuntimeValue> outputs, session.run(feeds));
    statistics.add_codes(outputs.front().tensor(), p.scale[0], p.zero[0]);
  }
  return statistics.means();
}

Status correct_measured(Model& model, const std::vector<QuantizedLayer>& layers,
                        const InputMeans& means, const BatchSource& batches, int threads) {
  Graph& graph = model.graph;
  std::map<NodeId, const QuantizedLayer*> by_node;
  for (const QuantizedLayer& layer : layers) {
    if (layer.bias_codes != kNone) by_node[layer.node] = &layer;
  }
  Progress bar("correct bias", "layers", static_cast<int64_t>(by_node.size()));
  const std::vector<NodeId> order = graph.order();
  for (NodeId id : order) {
    if (by_node.count(id) == 0) continue;
    const QuantizedLayer& layer = *by_node.at(id);
    FEWBIT_ASSIGN(PatchGeometry geometry, patch_geometry(graph, graph.node(id)));
    FEWBIT_ASSIGN(std::vector<double> seen,
                  measured_means(model, layer, geometry, batches, threads));
    WeightView w = view_of(graph, layer);
    const std::vector<double>& mean = means.at(layer.name);
    Tensor bias = graph.constant(layer.bias_codes)->clone();
    for (int64_t row = 0; row < layer.rows; ++row) {
      size_t offset = mean_offset(geometry, layer.rows, row);
      double wanted = layer.bias.data<float>()[row];
      double found = bias_of(bias, layer, row);
      for (int64_t k = 0; k < w.elems; ++k) {
        size_t m = offset + static_cast<size_t>(k);
        wanted += w.original(row, k) * mean[m];
        found += w.quantized(row, k) * seen[m];
      }
      shift_bias(bias, layer, row, wanted - found);
    }
    graph.value(layer.bias_codes).constant = std::make_shared<const Tensor>(std::move(bias));
    bar.advance();
  }
  return {};
}

}  // namespace

Status correct_bias(Model& model, const std::vector<QuantizedLayer>& layers,
                    const InputMeans& float_means, const BatchSource* batches, int threads) {
  if (batches == nullptr) return correct_weight_error(model.graph, layers, float_means);
  return correct_measured(model, layers, float_means, *batches, threads);
}

}  // namespace fewbit
