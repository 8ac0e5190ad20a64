#include "graph/cost.h"

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "graph/infer/dims.h"

namespace fewbit {

namespace {

using infer::checked_add;
using infer::checked_mul;

using Count = std::optional<int64_t>;

std::optional<Dims> dims_of(const Graph& graph, ValueId id) {
  return id == kNone ? std::nullopt : graph.value(id).type.static_dims();
}

Count product(std::span<const int64_t> factors) {
  Count out = 1;
  for (int64_t f : factors) {
    if (out) out = checked_mul(*out, f);
  }
  return out;
}

Count times(Count a, Count b) {
  return a && b ? checked_mul(*a, *b) : std::nullopt;
}

// Where the operands of a product are; `w` is [M, C / group, kernel...] or the right matrix.
struct Operands {
  size_t x = 0;
  size_t w = 1;
};

// Each output element takes one product with each weight of its channel.
Count conv_macs(const Graph& graph, const Node& node, Operands in) {
  auto w = dims_of(graph, node.input(in.w));
  auto y = dims_of(graph, node.output(0));
  if (!w || !y || w->size() < 2) return std::nullopt;
  return times(product(*y), product(std::span(*w).subspan(1)));
}

// Each input element is spread over the weights of its channel.
Count conv_transpose_macs(const Graph& graph, const Node& node, Operands in) {
  auto w = dims_of(graph, node.input(in.w));
  auto x = dims_of(graph, node.input(in.x));
  if (!w || !x || w->size() < 2) return std::nullopt;
  return times(product(*x), product(std::span(*w).subspan(1)));
}

Count matmul_macs(const Graph& graph, const Node& node, Operands in) {
  auto x = dims_of(graph, node.input(in.x));
  auto y = dims_of(graph, node.output(0));
  if (!x || !y || x->empty()) return std::nullopt;
  bool transposed = node.get_int("transA", 0) != 0 && x->size() > 1;
  return times(product(*y), (*x)[x->size() - (transposed ? 2 : 1)]);
}

// Scores and their weighted sum: every query with every key.
Count attention_macs(const Graph& graph, const Node& node, Operands) {
  auto q = dims_of(graph, node.input(0));
  auto k = dims_of(graph, node.input(1));
  auto v = dims_of(graph, node.input(2));
  if (!q || !k || !v || q->size() < 3 || k->size() < 3 || v->size() < 3) return std::nullopt;
  auto past = dims_of(graph, node.input(4));
  bool unknown_past = node.input(4) != kNone && (!past || past->size() != 4);
  if (unknown_past) return std::nullopt;
  size_t length_axis = k->size() - 2;
  Count keys = checked_add((*k)[length_axis], past ? (*past)[2] : 0);
  // With packed heads the products of all heads are those of the packed size.
  int64_t heads = q->size() == 4 ? 1 : node.get_int("q_num_heads", 1);
  int64_t kv_heads = q->size() == 4 ? 1 : node.get_int("kv_num_heads", heads);
  if (heads < 1 || kv_heads < 1) return std::nullopt;
  Count v_size = times(v->back() / kv_heads, heads);
  Count width = v_size ? checked_add(q->back(), *v_size) : std::nullopt;
  std::span<const int64_t> rows = std::span(*q).first(q->size() - 1);
  return times(times(product(rows), keys), width);
}

// Every step multiplies its input by W and the hidden state by R.
Count recurrent_macs(const Graph& graph, const Node& node, Operands) {
  auto x = dims_of(graph, node.input(0));
  auto w = dims_of(graph, node.input(1));
  auto r = dims_of(graph, node.input(2));
  if (!x || !w || !r || x->size() != 3) return std::nullopt;
  Count weights = product(*w);
  Count recurrent = product(*r);
  Count both = weights && recurrent ? checked_add(*weights, *recurrent) : std::nullopt;
  return times(checked_mul((*x)[0], (*x)[1]), both);
}

struct Row {
  std::string_view op_type;
  Count (*macs)(const Graph&, const Node&, Operands);
  Operands operands = {};
};

constexpr Row kRows[] = {
    {"Attention", attention_macs},
    {"CausalConvWithState", conv_macs},
    {"Conv", conv_macs},
    {"ConvInteger", conv_macs},
    {"ConvTranspose", conv_transpose_macs},
    {"DeformConv", conv_macs},
    {"DynamicQuantizeMatMul", matmul_macs},
    {"FlexAttention", attention_macs},
    {"FusedConv", conv_macs},
    {"FusedGemm", matmul_macs},
    {"FusedMatMul", matmul_macs},
    {"GRU", recurrent_macs},
    {"Gemm", matmul_macs},
    {"LSTM", recurrent_macs},
    {"MatMul", matmul_macs},
    {"MatMulInteger", matmul_macs},
    {"MatMulIntegerToFloat", matmul_macs},
    {"MatMulNBits", matmul_macs},
    {"QGemm", matmul_macs, {0, 3}},
    {"QLinearConv", conv_macs, {0, 3}},
    {"QLinearMatMul", matmul_macs, {0, 3}},
    {"RNN", recurrent_macs},
};

bool is_quantizing(const Node& node) {
  return node.op_type == "QuantizeLinear" || node.op_type == "DequantizeLinear";
}

bool is_parameter_type(DType type) {
  return type != DType::kInt64 && type != DType::kString && type != DType::kBool;
}

int64_t saturating_add(int64_t a, int64_t b) {
  return checked_add(a, b).value_or(INT64_MAX);
}

// The weights that a matrix in few bits stands for, not the bytes that it is stored in.
int64_t packed_parameters(const Node& node) {
  const int64_t rows = node.get_int("rows", 0);
  const int64_t cols = node.get_int("cols", 0);
  const std::vector<int64_t> dims = {std::max<int64_t>(rows, 0), std::max<int64_t>(cols, 0)};
  return checked_elements(dims, DType::kFloat32).ok() ? dims[0] * dims[1] : 0;
}

int64_t first_read_parameters(const Graph& graph, const Node& node, std::vector<bool>& counted) {
  if (node.is("Decode", "ai.fewbit") || node.is("DecodeIntegers", "ai.fewbit")) {
    return packed_parameters(node);
  }
  int64_t sum = 0;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Tensor* tensor = graph.constant(node.inputs[i]);
    if (tensor == nullptr || !is_parameter_type(tensor->type())) continue;
    if (i > 0 && is_quantizing(node)) continue;
    auto id = static_cast<size_t>(node.inputs[i]);
    if (counted[id]) continue;
    counted[id] = true;
    sum = saturating_add(sum, tensor->elements());
  }
  return sum;
}

void add_subgraphs(const Node& node, NodeCost& cost) {
  for (const auto& [key, attribute] : node.attributes) {
    const auto* sub = std::get_if<std::shared_ptr<Graph>>(&attribute);
    if (sub == nullptr || *sub == nullptr) continue;
    GraphCost inner = cost_of(**sub);
    cost.macs = saturating_add(cost.macs, inner.macs);
    cost.parameters = saturating_add(cost.parameters, inner.parameters);
    cost.known = cost.known && inner.unknown_nodes == 0;
  }
}

NodeCost node_cost(const Graph& graph, NodeId id, std::vector<bool>& counted) {
  const Node& node = graph.node(id);
  NodeCost cost;
  cost.node = id;
  for (const Row& row : kRows) {
    if (row.op_type != node.op_type) continue;
    Count macs = row.macs(graph, node, row.operands);
    cost.macs = macs.value_or(0);
    cost.known = macs.has_value();
  }
  cost.parameters = first_read_parameters(graph, node, counted);
  add_subgraphs(node, cost);
  return cost;
}

}  // namespace

GraphCost cost_of(const Graph& graph) {
  GraphCost out;
  std::vector<bool> counted(graph.value_count(), false);
  for (NodeId id : graph.order()) {
    NodeCost cost = node_cost(graph, id, counted);
    out.macs = saturating_add(out.macs, cost.macs);
    out.parameters = saturating_add(out.parameters, cost.parameters);
    out.unknown_nodes += cost.known ? 0 : 1;
    out.nodes.push_back(cost);
  }
  return out;
}

}  // namespace fewbit
