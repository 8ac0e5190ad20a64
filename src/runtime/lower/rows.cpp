// Softmax, LayerNormalization, RMSNormalization and reductions in float.

#include <algorithm>

#include "kernels/pointwise/reduce/reduce.h"
#include "kernels/pointwise/rows/rows.h"
#include "runtime/lower/call_step.h"
#include "runtime/lower/tables.h"

namespace fewbit::lower {
namespace {

bool is_float(const Lowering& lowering, ValueId v) {
  return lowering.type(v) == DType::kFloat32 && !lowering.dims(v).empty();
}

struct AxisSplit {
  int64_t outer = 1, count = 1, inner = 1;
};
AxisSplit split_at(const Dims& dims, int64_t axis) {
  AxisSplit s;
  for (int64_t i = 0; i < static_cast<int64_t>(dims.size()); ++i) {
    int64_t& part = i < axis ? s.outer : i == axis ? s.count : s.inner;
    part *= dims[static_cast<size_t>(i)];
  }
  return s;
}

template <bool kLogarithm>
Result<bool> lower_softmax(Lowering& lowering, const Node& node) {
  if (node.opset < 13 || !is_float(lowering, node.input(0))) return false;
  const Dims& dims = lowering.dims(node.input(0));
  int64_t axis = node.get_int("axis", -1);
  if (axis < 0) axis += static_cast<int64_t>(dims.size());
  if (axis < 0 || axis >= static_cast<int64_t>(dims.size())) return false;
  AxisSplit s = split_at(dims, axis);
  SlotId in = lowering.use(node.input(0), Layout::kPlain);
  SlotId out = lowering.define(node.output(0), Layout::kPlain);
  lowering.add(call_step("pointwise/softmax", {in}, {out},
                         [=](Frame& f) -> Status {
                           pointwise::softmax_strided(f.in<float>(in), f.out<float>(out), s.outer,
                                                      s.count, s.inner, kLogarithm);
                           return {};
                         }),
               node);
  return true;
}

// Normalisation over the last axis with constant or computed scale.
template <bool kRms>
Result<bool> lower_norm(Lowering& lowering, const Node& node) {
  if (!is_float(lowering, node.input(0)) || node.input(1) == kNone) return false;
  const Dims& dims = lowering.dims(node.input(0));
  int64_t axis = node.get_int("axis", -1);
  if (axis < 0) axis += static_cast<int64_t>(dims.size());
  if (axis != static_cast<int64_t>(dims.size()) - 1 || node.output(1) != kNone ||
      node.output(2) != kNone) {
    return false;
  }
  int64_t cols = dims.back();
  auto fits = [&](ValueId v) {
    return v == kNone ||
           (lowering.type(v) == DType::kFloat32 && elements_of(lowering.dims(v)) == cols);
  };
  if (!fits(node.input(1)) || !fits(node.input(2)) || elements_of(dims) == 0) return false;
  int64_t rows = elements_of(dims) / cols;
  float epsilon = node.get_float("epsilon", 1e-5F);
  SlotId in = lowering.use(node.input(0), Layout::kPlain);
  SlotId scale = lowering.use(node.input(1), Layout::kPlain);
  SlotId bias = node.input(2) == kNone ? kNone : lowering.use(node.input(2), Layout::kPlain);
  SlotId out = lowering.define(node.output(0), Layout::kPlain);
  std::vector<SlotId> reads{in, scale};
  if (bias != kNone) reads.push_back(bias);
  lowering.add(call_step(kRms ? "pointwise/rms_norm" : "pointwise/layer_norm", reads, {out},
                         [=](Frame& f) -> Status {
                           if (kRms) {
                             pointwise::rms_norm(f.in<float>(in), f.out<float>(out), rows, cols,
                                                 f.in<float>(scale), epsilon);
                           } else {
                             pointwise::layer_norm(
                                 f.in<float>(in), f.out<float>(out), rows, cols, f.in<float>(scale),
                                 bias == kNone ? nullptr : f.in<float>(bias), epsilon);
                           }
                           return {};
                         }),
               node);
  return true;
}

// Reductions over neighbouring axes.
template <pointwise::ReduceOp Op>
Result<bool> lower_reduce(Lowering& lowering, const Node& node) {
  if (!is_float(lowering, node.input(0))) return false;
  const Dims& dims = lowering.dims(node.input(0));
  auto rank = static_cast<int64_t>(dims.size());
  std::vector<int64_t> axes = node.get_ints("axes");
  if (node.input(1) != kNone) {
    const Tensor* t = lowering.graph().constant(node.input(1));
    if (t == nullptr || t->type() != DType::kInt64) return false;
    axes.assign(t->span<int64_t>().begin(), t->span<int64_t>().end());
  }
  if (axes.empty()) return false;
  for (int64_t& a : axes) a = a < 0 ? a + rank : a;
  std::sort(axes.begin(), axes.end());
  for (size_t i = 1; i < axes.size(); ++i) {
    if (axes[i] != axes[i - 1] + 1) return false;
  }
  if (axes.front() < 0 || axes.back() >= rank || elements_of(dims) == 0) return false;
  AxisSplit s;
  for (int64_t i = 0; i < rank; ++i) {
    int64_t& part = i < axes.front() ? s.outer : i <= axes.back() ? s.count : s.inner;
    part *= dims[static_cast<size_t>(i)];
  }
  SlotId in = lowering.use(node.input(0), Layout::kPlain);
  SlotId out = lowering.define(node.output(0), Layout::kPlain);
  lowering.add(call_step("pointwise/reduce", {in}, {out},
                         [=](Frame& f) -> Status {
                           pointwise::reduce(Op, f.in<float>(in), f.out<float>(out), s.outer,
                                             s.count, s.inner);
                           return {};
                         }),
               node);
  return true;
}

using pointwise::ReduceOp;
constexpr LowerRow kRows[] = {
    {"", "Softmax", lower_softmax<false>},
    {"", "LogSoftmax", lower_softmax<true>},
    {"", "LayerNormalization", lower_norm<false>},
    {"", "RMSNormalization", lower_norm<true>},
    {"", "ReduceMean", lower_reduce<ReduceOp::kMean>},
    {"", "ReduceSum", lower_reduce<ReduceOp::kSum>},
    {"", "ReduceMax", lower_reduce<ReduceOp::kMax>},
    {"", "ReduceMin", lower_reduce<ReduceOp::kMin>},
};

}  // namespace

std::span<const LowerRow> row_rows() {
  return kRows;
}

}  // namespace fewbit::lower
