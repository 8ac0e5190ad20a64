// Elementwise operators on codes: QLinearAdd, QLinearMul, tables, bounds.

#include <algorithm>

#include "kernels/pointwise/bound/bound.h"
#include "kernels/pointwise/qarith/qarith.h"
#include "kernels/pointwise/table/lut.h"
#include "runtime/lower/call_step.h"
#include "runtime/lower/qparams.h"
#include "runtime/lower/tables.h"
#include "runtime/lower/unary_of.h"

namespace fewbit::lower {
namespace {

pointwise::QAffine affine(const QuantParams& p) {
  return {p.scale[0], p.zero[0]};
}

// Both operands in one layout: channels-last if either is there already and both have its rank.
Layout shared_layout(const Lowering& lowering, ValueId a, ValueId b) {
  if (lowering.dims(a).size() != lowering.dims(b).size() || lowering.dims(a).size() < 3) {
    return Layout::kPlain;
  }
  bool last = kept_layout(lowering, a) == Layout::kChannelsLast ||
              kept_layout(lowering, b) == Layout::kChannelsLast;
  return last ? Layout::kChannelsLast : Layout::kPlain;
}

template <auto Kernel>
Result<bool> lower_binary(Lowering& lowering, const Node& node, const char* name) {
  ValueId a = node.input(0);
  ValueId b = node.input(3);
  DType type = lowering.type(node.output(0));
  auto pa = operand_params(lowering, node, 1, 2, lowering.type(a));
  auto pb = operand_params(lowering, node, 4, 5, lowering.type(b));
  auto pc = operand_params(lowering, node, 6, 7, type);
  if (!pa || !pb || !pc || !pa->is_8bit() || lowering.type(a) != type || lowering.type(b) != type ||
      !pa->per_tensor() || !pb->per_tensor() || !pc->per_tensor()) {
    return false;
  }
  Layout layout = shared_layout(lowering, a, b);
  FEWBIT_ASSIGN(pointwise::BroadcastLoops loops,
                pointwise::collapse_broadcast(memory_dims(lowering.dims(a), layout),
                                              memory_dims(lowering.dims(b), layout)));
  auto [lo, hi] = code_range(type);
  ValueId result = absorb_clips(lowering, node.output(0), lo, hi);
  SlotId sa = lowering.use(a, layout);
  SlotId sb = lowering.use(b, layout);
  SlotId out = lowering.define(result, layout);
  pointwise::QAffine qa = affine(*pa);
  pointwise::QAffine qb = affine(*pb);
  pointwise::QAffine qc = affine(*pc);
  pointwise::QClamp clamp{lo, hi};
  lowering.add(call_step(name, {sa, sb}, {out},
                         [=](Frame& f) -> Status {
                           Kernel(type, loops, f.in(sa), qa, f.in(sb), qb, f.out(out), qc, clamp);
                           return {};
                         }),
               node);
  return true;
}

Result<bool> lower_qadd(Lowering& lowering, const Node& node) {
  return lower_binary<pointwise::qadd>(lowering, node, "pointwise/qadd");
}
Result<bool> lower_qmul(Lowering& lowering, const Node& node) {
  return lower_binary<pointwise::qmul>(lowering, node, "pointwise/qmul");
}

Status add_table(Lowering& lowering, const Node& node, const pointwise::Lut& lut) {
  ValueId x = node.input(0);
  Layout layout = kept_layout(lowering, x);
  int64_t count = elements_of(lowering.dims(x));
  SlotId in = lowering.use(x, layout);
  SlotId out = lowering.define(node.output(0), layout);
  lowering.add(call_step("pointwise/table", {in}, {out},
                         [=](Frame& f) -> Status {
                           pointwise::map_bytes(f.in(in), f.out(out), count, lut);
                           return {};
                         }),
               node);
  return {};
}

Result<bool> lower_table(Lowering& lowering, const Node& node) {
  const Tensor* table = lowering.graph().constant(node.input(1));
  if (table == nullptr || table->elements() != 256) return false;
  pointwise::Lut lut;
  std::copy_n(table->data<uint8_t>(), 256, lut.begin());
  FEWBIT_TRY(add_table(lowering, node, lut));
  return true;
}

// QLinearSigmoid and QLinearLeakyRelu: (x, scale, zero, y scale, y zero).
Result<bool> lower_qlinear_unary(Lowering& lowering, const Node& node) {
  DType in_type = lowering.type(node.input(0));
  DType out_type = lowering.type(node.output(0));
  auto px = operand_params(lowering, node, 1, 2, in_type);
  auto py = operand_params(lowering, node, 3, 4, out_type);
  if (!px || !py || !px->is_8bit() || !py->is_8bit()) return false;
  Unary f = node.op_type == "QLinearSigmoid"
                ? Unary{UnaryOp::kSigmoid, 0, 0}
                : Unary{UnaryOp::kLeakyRelu, node.get_float("alpha", 0.01F), 0};
  FEWBIT_TRY(add_table(lowering, node,
                       pointwise::unary_lut(f, in_type, affine(*px), out_type, affine(*py))));
  return true;
}

// Clip on codes that no kernel absorbed.
Result<bool> lower_code_clip(Lowering& lowering, const Node& node) {
  DType type = lowering.type(node.input(0));
  if (type != DType::kUint8 && type != DType::kInt8) return false;
  auto [low, high] = code_range(type);
  int32_t bounds[2] = {low, high};
  for (size_t i = 1; i <= 2; ++i) {
    if (node.input(i) == kNone) continue;
    const Tensor* t = lowering.graph().constant(node.input(i));
    if (t == nullptr || t->elements() != 1) return false;
    bounds[i - 1] = type == DType::kInt8 ? t->data<int8_t>()[0] : t->data<uint8_t>()[0];
  }
  pointwise::Lut lut;
  for (int i = 0; i < 256; ++i) {
    int32_t code = type == DType::kInt8 ? static_cast<int8_t>(i) : i;
    lut[static_cast<size_t>(i)] =
        static_cast<uint8_t>(std::min(std::max(code, bounds[0]), bounds[1]));
  }
  FEWBIT_TRY(add_table(lowering, node, lut));
  return true;
}

// min(codes, constant per channel): what is left of a clip after equalization.
Result<bool> lower_code_bound(Lowering& lowering, const Node& node) {
  ValueId x = node.input(0);
  DType type = lowering.type(x);
  const Tensor* bound =
      node.inputs.size() == 2 ? lowering.graph().constant(node.input(1)) : nullptr;
  if ((type != DType::kUint8 && type != DType::kInt8) || bound == nullptr) return false;
  const Dims& dims = lowering.dims(x);
  if (dims.size() < 2 || bound->elements() != dims[1] || bound->dims().size() != dims.size() ||
      bound->dim(1) != dims[1]) {
    return false;
  }
  Layout layout = dims.size() == 2 ? Layout::kPlain : Layout::kChannelsLast;
  int64_t channels = dims[1];
  int64_t pixels = elements_of(dims) / std::max<int64_t>(channels, 1);
  SlotId in = lowering.use(x, layout);
  SlotId limit = lowering.use(node.input(1), Layout::kPlain);
  SlotId out = lowering.define(node.output(0), layout);
  lowering.add(call_step("pointwise/bound", {in, limit}, {out},
                         [=](Frame& f) -> Status {
                           pointwise::bound_channels(type, f.in(in), f.in(limit), f.out(out),
                                                     pixels, channels);
                           return {};
                         }),
               node);
  return true;
}

constexpr LowerRow kRows[] = {
    {"com.microsoft", "QLinearAdd", lower_qadd},
    {"com.microsoft", "QLinearMul", lower_qmul},
    {"com.microsoft", "QLinearSigmoid", lower_qlinear_unary},
    {"com.microsoft", "QLinearLeakyRelu", lower_qlinear_unary},
    {"ai.fewbit", "QTable", lower_table},
    {"", "Clip", lower_code_clip},
    {"", "Min", lower_code_bound},
};

}  // namespace

std::span<const LowerRow> int8_pointwise_rows() {
  return kRows;
}

}  // namespace fewbit::lower
