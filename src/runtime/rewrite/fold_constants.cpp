#include "graph/infer.h"
#include "runtime/interpreter.h"
#include "runtime/integer_weight.h"
#include "runtime/rewrite/rewrite.h"

namespace fewbit {
namespace {

// A folded result larger than this stays a node when its inputs were small (ConstantOfShape,
// Expand, Tile): the file and the memory would grow for nothing. Not so weights in few bits: they
// are read at every run.
constexpr int64_t kMaxGrownBytes = int64_t{16} << 20;

bool has_subgraph(const Node& node) {
  for (const auto& [key, attribute] : node.attributes) {
    if (std::holds_alternative<std::shared_ptr<Graph>>(attribute)) return true;
  }
  return false;
}

// Shape and Size depend on the dimensions only.
bool needs_only_shape(const Node& node) {
  return node.is("Shape") || node.is("Size");
}

bool codes_are_read(const Graph& graph, const Node& decode) {
  const std::vector<NodeId> readers = graph.consumers(decode.output(0));
  return std::any_of(readers.begin(), readers.end(),
                     [&](NodeId id) { return reads_codes(graph, graph.node(id)); });
}

// A layer between quantizers reads the weights: fuse_qdq may want their integers.
bool meets_codes(const Graph& graph, const Node& decode) {
  const std::vector<NodeId> readers = graph.consumers(decode.output(0));
  return std::any_of(readers.begin(), readers.end(), [&](NodeId id) {
    const ValueId x = graph.node(id).input(0);
    const NodeId producer = x == kNone ? kNone : graph.value(x).producer;
    return producer != kNone && graph.node(producer).is("DequantizeLinear");
  });
}

}  // namespace

Result<bool> fold_node(Graph& graph, NodeId id, const RewriteContext& context,
                       bool keep_dequantize) {
  const Node& node = graph.node(id);
  const OpRow* row = find_op(node);
  if (row == nullptr || !row->deterministic || has_subgraph(node)) return false;
  if (node.is("DequantizeLinear") && keep_dequantize) return false;
  if (is_decode(node) && codes_are_read(graph, node)) return false;
  if (is_decode(node) && keep_dequantize && meets_codes(graph, node)) return false;
  if (is_integer_decode(node)) return false;
  std::vector<RuntimeValue> inputs;
  int64_t input_bytes = 0;
  for (ValueId in : node.inputs) {
    if (in == kNone) {
      inputs.emplace_back();
      continue;
    }
    if (const Tensor* constant = graph.constant(in); constant != nullptr) {
      inputs.emplace_back(*constant);
      input_bytes += constant->bytes();
      continue;
    }
    std::optional<Dims> dims = graph.value(in).type.static_dims();
    if (!needs_only_shape(node) || !dims || graph.value(in).type.kind != ValueType::Kind::kTensor) {
      return false;
    }
    // The operator reads only dims(): a view without bytes will do.
    inputs.emplace_back(Tensor::view(DType::kUint8, *dims, nullptr, nullptr));
  }
  for (ValueId out : node.outputs) {
    if (out == kNone) continue;
    std::optional<Dims> dims = graph.value(out).type.static_dims();
    if (!dims) continue;
    auto elements = checked_elements(*dims, graph.value(out).type.elem);
    if (!elements.ok()) return std::move(elements).error().with_context(node.label());
    int64_t bytes = bytes_of(graph.value(out).type.elem, *elements);
    if (bytes > kMaxGrownBytes && bytes > 2 * input_bytes && !is_decode(node)) {
      return false;
    }
  }
  FEWBIT_ASSIGN(auto results, run_node(node, std::move(inputs), Scope{}, context.seed));
  for (size_t i = 0; i < results.size(); ++i) {
    if (node.output(i) != kNone && !results[i].is_tensor()) return false;  // a sequence
  }
  std::vector<ValueId> outputs = node.outputs;
  graph.remove_node(id);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == kNone) continue;
    Value& v = graph.value(outputs[i]);
    Tensor tensor = std::move(results[i].tensor());
    Shape shape;
    for (int64_t d : tensor.dims()) shape.push_back(Dim::of(d));
    v.type = ValueType::tensor(tensor.type(), std::move(shape));
    v.constant = std::make_shared<const Tensor>(std::move(tensor));
  }
  return true;
}

Result<int> fold_constants(Graph& graph, const RewriteContext& context, bool keep_dequantize) {
  int folded = 0;
  const std::vector<NodeId> order = graph.order();
  for (NodeId id : order) {
    FEWBIT_TRY(infer_node(graph, id));
    FEWBIT_ASSIGN(bool done, fold_node(graph, id, context, keep_dequantize));
    folded += done ? 1 : 0;
  }
  return folded;
}

}  // namespace fewbit
