#include "runtime/lower/qparams.h"

#include <algorithm>

namespace fewbit::lower {
namespace {

std::optional<int32_t> code_of(const Tensor* t) {
  if (t == nullptr || t->elements() != 1) return std::nullopt;
  if (t->type() == DType::kUint8) return t->data<uint8_t>()[0];
  if (t->type() == DType::kInt8) return t->data<int8_t>()[0];
  return std::nullopt;
}

}  // namespace

std::optional<QuantParams> operand_params(const Lowering& lowering, const Node& node, size_t scale,
                                          size_t zero, DType type) {
  if (node.input(scale) == kNone) return std::nullopt;
  return quant_params(lowering.graph(), node, node.input(scale), node.input(zero), type);
}

ValueId absorb_clips(Lowering& lowering, ValueId value, int32_t& lo, int32_t& hi) {
  const Graph& graph = lowering.graph();
  for (;;) {
    NodeId reader = lowering.fusable_reader(value);
    if (reader == kNone || !graph.node(reader).is("Clip")) return value;
    const Node& clip = graph.node(reader);
    if (clip.input(0) != value) return value;
    auto type_range = code_range(lowering.type(value));
    auto low = clip.input(1) == kNone ? type_range.first : code_of(graph.constant(clip.input(1)));
    auto high = clip.input(2) == kNone ? type_range.second : code_of(graph.constant(clip.input(2)));
    if (!low || !high) return value;
    lo = std::min(std::max(lo, *low), *high);
    hi = std::min(std::max(hi, *low), *high);
    lowering.cover(reader);
    value = clip.output(0);
  }
}

}  // namespace fewbit::lower
