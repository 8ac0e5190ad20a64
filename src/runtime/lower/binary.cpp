// Arithmetic of two float tensors with broadcasting.

#include <algorithm>

#include "kernels/pointwise/binary/binary.h"
#include "kernels/pointwise/broadcast/broadcast.h"
#include "runtime/lower/call_step.h"
#include "runtime/lower/tables.h"

namespace fewbit::lower {
namespace {

// Channels-last if an operand lies so and both can: same rank, or a scalar.
Layout shared_layout(const Lowering& lowering, ValueId a, ValueId b) {
  auto last = [&](ValueId v) { return kept_layout(lowering, v) == Layout::kChannelsLast; };
  if (!last(a) && !last(b)) return Layout::kPlain;
  const Dims& da = lowering.dims(a);
  const Dims& db = lowering.dims(b);
  bool fits = da.size() == db.size() || elements_of(da) == 1 || elements_of(db) == 1;
  return fits ? Layout::kChannelsLast : Layout::kPlain;
}

// A scalar has no layout of its own.
SlotId operand(Lowering& lowering, ValueId v, Layout layout) {
  return lowering.use(v, lowering.dims(v).size() < 3 ? Layout::kPlain : layout);
}

template <pointwise::BinaryOp Op>
Result<bool> lower_binary(Lowering& lowering, const Node& node) {
  if (node.inputs.size() != 2) return false;
  ValueId a = node.input(0);
  ValueId b = node.input(1);
  if (lowering.type(a) != DType::kFloat32 || lowering.type(b) != DType::kFloat32) return false;
  Layout layout = shared_layout(lowering, a, b);
  // The result has the larger rank; where that operand is a scalar of rank 4, plain is simplest.
  const Dims& out_dims = lowering.dims(node.output(0));
  if (layout == Layout::kChannelsLast &&
      out_dims.size() != std::max(lowering.dims(a).size(), lowering.dims(b).size())) {
    layout = Layout::kPlain;
  }
  auto loops = pointwise::collapse_broadcast(memory_dims(lowering.dims(a), layout),
                                             memory_dims(lowering.dims(b), layout));
  if (!loops.ok()) return std::move(loops).error();
  SlotId sa = operand(lowering, a, layout);
  SlotId sb = operand(lowering, b, layout);
  SlotId out = lowering.define(node.output(0), layout);
  lowering.add(call_step("pointwise/binary", {sa, sb}, {out},
                         [=, l = *loops](Frame& f) -> Status {
                           pointwise::binary(Op, l, f.in<float>(sa), f.in<float>(sb),
                                             f.out<float>(out));
                           return {};
                         }),
               node);
  return true;
}

using pointwise::BinaryOp;
constexpr LowerRow kRows[] = {
    {"", "Add", lower_binary<BinaryOp::kAdd>}, {"", "Sub", lower_binary<BinaryOp::kSub>},
    {"", "Mul", lower_binary<BinaryOp::kMul>}, {"", "Div", lower_binary<BinaryOp::kDiv>},
    {"", "Min", lower_binary<BinaryOp::kMin>}, {"", "Max", lower_binary<BinaryOp::kMax>},
    {"", "Pow", lower_binary<BinaryOp::kPow>},
};

}  // namespace

std::span<const LowerRow> binary_rows() {
  return kRows;
}

}  // namespace fewbit::lower
