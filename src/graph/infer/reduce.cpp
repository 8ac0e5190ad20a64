// Reductions, and normalisations along an axis that keep the shape (Softmax and its kin).

#include <algorithm>

#include "graph/infer/common.h"
#include "graph/infer/evaluate.h"
#include "graph/infer/infer_table.h"
#include "graph/infer/shape_value.h"

namespace fewbit::infer {

namespace {

// The element function of a reduction whose values are carried; nullptr for others.
BinaryEvaluator folding(std::string_view op_type) {
  if (op_type == "ReduceProd") return binary_evaluator("Mul");
  if (op_type == "ReduceSum") return binary_evaluator("Add");
  if (op_type == "ReduceMax") return binary_evaluator("Max");
  if (op_type == "ReduceMin") return binary_evaluator("Min");
  return nullptr;
}

// Values are carried through reductions of a list to one number: the size of a tensor.
void carry_list(InferContext& c, bool keepdims) {
  BinaryEvaluator f = folding(c.node().op_type);
  const PartialValue* v = c.value(0);
  if (f == nullptr || v == nullptr || v->dims.size() != 1 || v->elements.empty()) return;
  PartialElement sum = v->elements.front();
  for (size_t i = 1; i < v->elements.size(); ++i) sum = fit(f(sum, v->elements[i]), c.elem(0));
  c.set_value(0, keepdims ? PartialValue::vector({sum}) : PartialValue::scalar(sum));
}

Status reduce(InferContext& c, int input_since) {
  const Shape* s = c.shape(0);
  bool keepdims = c.node().get_int("keepdims", 1) != 0;
  Axes axes = axes_of(c, 1, input_since);
  // An empty list of axes counts as none given.
  bool none = !axes.given || (axes.count && *axes.count == 0);
  if (none && c.node().get_int("noop_with_empty_axes", 0) != 0) {
    c.set_type(0, c.type(0));
    return {};
  }
  std::optional<Shape> out;
  if (s != nullptr && none) {
    out = keepdims ? Shape(s->size(), Dim::of(1)) : Shape{};
  } else if (s != nullptr && axes.values) {
    FEWBIT_ASSIGN(auto which, c.normalize_axes(*axes.values, c.rank(0)));
    out = reduce_shape(*s, which, keepdims);
  } else if (s != nullptr && keepdims) {
    out = unknown_shape(s->size());
  } else if (s != nullptr && axes.count && *axes.count <= c.rank(0)) {
    out = unknown_shape(s->size() - static_cast<size_t>(*axes.count));
  } else if (none && !keepdims) {
    out = Shape{};
  }
  c.set(0, c.elem(0), std::move(out));
  if (none || axes.values) carry_list(c, keepdims);
  return {};
}

Status reduce_axes_13(InferContext& c) {
  return reduce(c, 13);
}
Status reduce_axes_18(InferContext& c) {
  return reduce(c, 18);
}

Status arg_reduce(InferContext& c) {
  std::optional<Shape> out = shape_of(c, 0);
  if (out) {
    FEWBIT_ASSIGN(int64_t axis, c.normalize_axis(c.node().get_int("axis", 0), c.rank(0)));
    out = reduce_shape(*out, {axis}, c.node().get_int("keepdims", 1) != 0);
  }
  c.set(0, DType::kInt64, std::move(out));
  return {};
}

Status along_axis(InferContext& c, int64_t default_axis) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  int64_t axis = c.node().get_int("axis", default_axis);
  // Before version 13 the axis only said where the tensor is flattened: rank itself is allowed.
  bool flattened_at_end = c.opset() < 13 && axis == c.rank(0);
  if (c.rank(0) > 0 && !flattened_at_end) FEWBIT_TRY(c.normalize_axis(axis, c.rank(0)));
  c.set_type(0, c.type(0));
  return {};
}

Status softmax(InferContext& c) {
  return along_axis(c, c.opset() < 13 ? 1 : -1);
}
Status lp_normalization(InferContext& c) {
  return along_axis(c, -1);
}

constexpr SchemaRow kRows[] = {
    {"", "ArgMax", 1, 1, 1, 1, 1, arg_reduce},
    {"", "ArgMin", 1, 1, 1, 1, 1, arg_reduce},
    {"", "Hardmax", 1, 1, 1, 1, 1, softmax},
    {"", "LogSoftmax", 1, 1, 1, 1, 1, softmax},
    {"", "LpNormalization", 1, 1, 1, 1, 1, lp_normalization},
    {"", "ReduceL1", 1, 1, 1, 1, 1, reduce_axes_18},
    {"", "ReduceL1", 18, 1, 2, 1, 1, reduce_axes_18},
    {"", "ReduceL2", 1, 1, 1, 1, 1, reduce_axes_18},
    {"", "ReduceL2", 18, 1, 2, 1, 1, reduce_axes_18},
    {"", "ReduceLogSum", 1, 1, 1, 1, 1, reduce_axes_18},
    {"", "ReduceLogSum", 18, 1, 2, 1, 1, reduce_axes_18},
    {"", "ReduceLogSumExp", 1, 1, 1, 1, 1, reduce_axes_18},
    {"", "ReduceLogSumExp", 18, 1, 2, 1, 1, reduce_axes_18},
    {"", "ReduceMax", 1, 1, 1, 1, 1, reduce_axes_18},
    {"", "ReduceMax", 18, 1, 2, 1, 1, reduce_axes_18},
    {"", "ReduceMean", 1, 1, 1, 1, 1, reduce_axes_18},
    {"", "ReduceMean", 18, 1, 2, 1, 1, reduce_axes_18},
    {"", "ReduceMin", 1, 1, 1, 1, 1, reduce_axes_18},
    {"", "ReduceMin", 18, 1, 2, 1, 1, reduce_axes_18},
    {"", "ReduceProd", 1, 1, 1, 1, 1, reduce_axes_18},
    {"", "ReduceProd", 18, 1, 2, 1, 1, reduce_axes_18},
    {"", "ReduceSum", 1, 1, 1, 1, 1, reduce_axes_13},
    {"", "ReduceSum", 13, 1, 2, 1, 1, reduce_axes_13},
    {"", "ReduceSumSquare", 1, 1, 1, 1, 1, reduce_axes_18},
    {"", "ReduceSumSquare", 18, 1, 2, 1, 1, reduce_axes_18},
    {"", "Softmax", 1, 1, 1, 1, 1, softmax},
};

}  // namespace

std::span<const SchemaRow> reduce_rows() {
  return kRows;
}

}  // namespace fewbit::infer
