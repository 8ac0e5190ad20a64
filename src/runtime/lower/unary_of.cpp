#include "runtime/lower/unary_of.h"

#include "runtime/qdq/qdq.h"

namespace fewbit::lower {
namespace {

struct Row {
  std::string_view op_type;
  UnaryOp op;
  // Names and defaults of the attributes that alpha and beta come from ("" : fixed value).
  std::string_view alpha_name;
  float alpha;
  std::string_view beta_name;
  float beta;
};

constexpr Row kRows[] = {
    {"Relu", UnaryOp::kRelu, "", 0, "", 0},
    {"LeakyRelu", UnaryOp::kLeakyRelu, "alpha", 0.01F, "", 0},
    {"Elu", UnaryOp::kElu, "alpha", 1, "", 0},
    {"Selu", UnaryOp::kSelu, "alpha", 1.67326319F, "gamma", 1.05070102F},
    {"Celu", UnaryOp::kCelu, "alpha", 1, "", 0},
    {"ThresholdedRelu", UnaryOp::kThresholdedRelu, "alpha", 1, "", 0},
    {"Sigmoid", UnaryOp::kSigmoid, "", 0, "", 0},
    {"HardSigmoid", UnaryOp::kHardSigmoid, "alpha", 0.2F, "beta", 0.5F},
    {"HardSwish", UnaryOp::kHardSwish, "", 0, "", 0},
    {"Swish", UnaryOp::kSilu, "alpha", 1, "", 0},
    {"Mish", UnaryOp::kMish, "", 0, "", 0},
    {"Softplus", UnaryOp::kSoftplus, "", 0, "", 0},
    {"Softsign", UnaryOp::kSoftsign, "", 0, "", 0},
    {"Tanh", UnaryOp::kTanh, "", 0, "", 0},
    {"Erf", UnaryOp::kErf, "", 0, "", 0},
    {"Exp", UnaryOp::kExp, "", 0, "", 0},
    {"Log", UnaryOp::kLog, "", 0, "", 0},
    {"Sqrt", UnaryOp::kSqrt, "", 0, "", 0},
    {"Reciprocal", UnaryOp::kReciprocal, "", 0, "", 0},
    {"Abs", UnaryOp::kAbs, "", 0, "", 0},
    {"Neg", UnaryOp::kNeg, "", 0, "", 0},
    {"Floor", UnaryOp::kFloor, "", 0, "", 0},
    {"Ceil", UnaryOp::kCeil, "", 0, "", 0},
    {"Round", UnaryOp::kRound, "", 0, "", 0},
    {"Sign", UnaryOp::kSign, "", 0, "", 0},
};

// x * Sigmoid(x): the Mul node, if `value` is read by exactly the two.
std::optional<FusedUnary> absorb_silu(Lowering& lowering, ValueId value) {
  const Graph& graph = lowering.graph();
  const auto& readers = lowering.uses().consumers[static_cast<size_t>(value)];
  if (readers.size() != 2 || graph.is_output(value) || lowering.is_watched(value)) {
    return std::nullopt;
  }
  for (size_t i = 0; i < 2; ++i) {
    const Node& sigmoid = graph.node(readers[i]);
    const Node& mul = graph.node(readers[1 - i]);
    if (!sigmoid.is("Sigmoid") || !mul.is("Mul")) continue;
    ValueId gate = sigmoid.output(0);
    bool matches = (mul.input(0) == value && mul.input(1) == gate) ||
                   (mul.input(1) == value && mul.input(0) == gate);
    if (!matches || lowering.fusable_reader(gate) != readers[1 - i]) continue;
    lowering.cover(readers[0]);
    lowering.cover(readers[1]);
    return FusedUnary{{UnaryOp::kSilu, 1, 0}, mul.output(0)};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Unary> unary_of(const Graph& graph, const Node& node) {
  if (node.is("Clip")) {
    auto bounds = clamp_bounds(graph, node);
    if (!bounds || bounds->first > bounds->second) return std::nullopt;
    return Unary{UnaryOp::kClip, bounds->first, bounds->second};
  }
  if (node.is("Gelu")) {
    bool tanh = node.get_string("approximate", "none") == "tanh";
    return Unary{tanh ? UnaryOp::kGeluTanh : UnaryOp::kGeluErf, 0, 0};
  }
  if (!node.domain.empty()) return std::nullopt;
  for (const Row& row : kRows) {
    if (row.op_type != node.op_type) continue;
    Unary u{row.op, row.alpha, row.beta};
    if (!row.alpha_name.empty()) u.alpha = node.get_float(row.alpha_name, row.alpha);
    if (!row.beta_name.empty()) u.beta = node.get_float(row.beta_name, row.beta);
    return u;
  }
  return std::nullopt;
}

std::optional<FusedUnary> absorb_unary(Lowering& lowering, ValueId value,
                                       bool (*accepts)(const Unary&)) {
  if (accepts({UnaryOp::kSilu, 1, 0})) {
    if (auto silu = absorb_silu(lowering, value)) return silu;
  }
  NodeId reader = lowering.fusable_reader(value);
  if (reader == kNone) return std::nullopt;
  const Node& node = lowering.graph().node(reader);
  if (node.input(0) != value) return std::nullopt;
  auto unary = unary_of(lowering.graph(), node);
  if (!unary || !accepts(*unary)) return std::nullopt;
  lowering.cover(reader);
  return FusedUnary{*unary, node.output(0)};
}

}  // namespace fewbit::lower
