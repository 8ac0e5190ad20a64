#include "passes/store_floats.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "numerics/convert.h"

namespace fewbit {
namespace {

constexpr int64_t kMinElements = 16;
constexpr int kBfloat16CastOpset = 13;

bool is_weight(const Tensor& tensor) {
  const auto wide =
      std::count_if(tensor.dims().begin(), tensor.dims().end(), [](int64_t d) { return d > 1; });
  return tensor.type() == DType::kFloat32 && tensor.elements() >= kMinElements && wide >= 2;
}

// Values that quantizers and normalizations take as parameters.
std::set<ValueId> parameters_of(const Graph& graph) {
  std::set<ValueId> out;
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const bool takes_parameters = node.op_type.find("Quantize") != std::string::npos ||
                                  node.op_type.find("Normalization") != std::string::npos;
    for (size_t i = 1; takes_parameters && i < node.inputs.size(); ++i) out.insert(node.inputs[i]);
  }
  return out;
}

Result<StoredTensor> describe(const std::string& name, const Tensor& before, const Tensor& after,
                              DType type) {
  FEWBIT_ASSIGN(const Tensor back, cast(after, DType::kFloat32));
  StoredTensor out;
  out.name = name;
  out.elements = before.elements();
  int64_t overflowed = 0;
  double signal = 0, noise = 0;
  for (int64_t i = 0; i < before.elements(); ++i) {
    const float f = before.data<float>()[i];
    const float h = back.data<float>()[i];
    if (!std::isfinite(f)) continue;
    overflowed += std::isfinite(h) ? 0 : 1;
    out.became_zero += f != 0 && h == 0 ? 1 : 0;
    const double error = static_cast<double>(f) - h;
    signal += static_cast<double>(f) * f;
    noise += error * error;
  }
  if (overflowed > 0) {
    return bad_input("tensor '{}': {} of {} values are too large for {}{}", name, overflowed,
                     out.elements, name_of(type),
                     type == DType::kFloat16 ? " (bfloat16 has float32's range)" : "");
  }
  out.relative_error = signal > 0 ? std::sqrt(noise / signal) : 0;
  return out;
}

Status store_in(Graph& graph, DType type, int opset, std::vector<StoredTensor>& stored) {
  const std::vector<NodeId> order = graph.order();
  for (NodeId id : order) {
    for (auto& [key, attribute] : graph.node(id).attributes) {
      if (auto* sub = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
        FEWBIT_TRY(store_in(**sub, type, opset, stored));
      }
    }
  }
  const std::set<ValueId> parameters = parameters_of(graph);
  const auto count = static_cast<ValueId>(graph.value_count());
  for (ValueId id = 0; id < count; ++id) {
    const Tensor* tensor = graph.constant(id);
    if (tensor == nullptr || !is_weight(*tensor) || parameters.count(id) != 0 ||
        graph.is_input(id) || graph.is_output(id)) {
      continue;
    }
    const std::string name = graph.value(id).name;
    FEWBIT_ASSIGN(Tensor half, cast(*tensor, type));
    FEWBIT_ASSIGN(StoredTensor what, describe(name, *tensor, half, type));
    stored.push_back(std::move(what));
    const std::string suffix = type == DType::kFloat16 ? "_fp16" : "_bf16";
    Shape shape;
    for (int64_t d : tensor->dims()) shape.push_back(Dim::of(d));
    graph.value(id).type = ValueType::tensor(DType::kFloat32, std::move(shape));
    graph.value(id).constant = nullptr;
    Node node;
    node.op_type = "Cast";
    node.opset = opset;
    node.name = name + "_to_float32";
    node.attributes["to"] = static_cast<int64_t>(DType::kFloat32);
    node.inputs = {graph.add_constant(graph.unique_name(name + suffix), std::move(half))};
    node.outputs = {id};
    graph.add_node(std::move(node));
  }
  return graph.sort();
}

}  // namespace

Result<std::vector<StoredTensor>> store_floats(Model& model, DType type) {
  FEWBIT_CHECK(type == DType::kFloat16 || type == DType::kBfloat16, name_of(type));
  const int opset = model.onnx_opset();
  if (type == DType::kBfloat16 && opset < kBfloat16CastOpset) {
    return unsupported("bfloat16 needs opset {}, the model is of opset {}", kBfloat16CastOpset,
                       opset);
  }
  std::vector<StoredTensor> stored;
  FEWBIT_TRY(store_in(model.graph, type, opset, stored));
  return stored;
}

}  // namespace fewbit
