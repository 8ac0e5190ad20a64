// Element-wise operators of several inputs, with numpy broadcasting.

#include "graph/infer/common.h"
#include "graph/infer/evaluate.h"
#include "graph/infer/infer_table.h"

namespace fewbit::infer {

namespace {

std::vector<size_t> all_inputs(const InferContext& c) {
  std::vector<size_t> which;
  for (size_t i = 0; i < c.input_count(); ++i) which.push_back(i);
  return which;
}

// Folds the operator's element function over all inputs.
void carry_values(InferContext& c, DType result) {
  BinaryEvaluator f = binary_evaluator(c.node().op_type);
  if (f == nullptr || c.node().get_int("fmod", 0) != 0 || c.value(0) == nullptr) return;
  std::optional<PartialValue> out = *c.value(0);
  for (size_t i = 1; i < c.input_count() && out; ++i) {
    const PartialValue* next = c.value(i);
    out = next == nullptr ? std::nullopt : evaluate(f, *out, *next, result);
  }
  if (out) c.set_value(0, std::move(*out));
}

Status broadcasting(InferContext& c, TypeSet allowed, DType result) {
  std::vector<size_t> which = all_inputs(c);
  for (size_t i : which) {
    FEWBIT_TRY(c.check_elem(i, allowed));
    FEWBIT_TRY(c.check_same_elem(0, i));
  }
  FEWBIT_ASSIGN(std::optional<Shape> shape, broadcast_inputs(c, which));
  DType out = result == DType::kUndefined ? first_elem(c, which) : result;
  c.set(0, out, std::move(shape));
  carry_values(c, out);
  return {};
}

constexpr TypeSet kAny = ~TypeSet{0};

Status arithmetic(InferContext& c) {
  return broadcasting(c, kNumbers, DType::kUndefined);
}
Status bitwise(InferContext& c) {
  return broadcasting(c, kIntegers, DType::kUndefined);
}
Status real(InferContext& c) {
  return broadcasting(c, kFloats, DType::kUndefined);
}
Status logical(InferContext& c) {
  return broadcasting(c, kBools, DType::kBool);
}
Status order(InferContext& c) {
  return broadcasting(c, kNumbers, DType::kBool);
}
Status equality(InferContext& c) {
  return broadcasting(c, kAny, DType::kBool);
}
Status strings(InferContext& c) {
  return broadcasting(c, types(DType::kString), DType::kString);
}

// The exponent may have a type of its own.
Status power(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kNumbers));
  FEWBIT_TRY(c.check_elem(1, kNumbers));
  FEWBIT_ASSIGN(std::optional<Shape> shape, broadcast_inputs(c, {0, 1}));
  c.set(0, c.elem(0), std::move(shape));
  return {};
}

// The slope broadcasts to X, never the other way round.
Status prelu(InferContext& c) {
  FEWBIT_TRY(c.check_same_elem(0, 1));
  if (const Shape* x = c.shape(0)) FEWBIT_TRY(check_broadcasts_to(c, 1, *x));
  c.set_type(0, c.type(0));
  return {};
}

Status where(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kBools));
  FEWBIT_TRY(c.check_same_elem(1, 2));
  FEWBIT_ASSIGN(std::optional<Shape> shape, broadcast_inputs(c, {0, 1, 2}));
  c.set(0, first_elem(c, {1, 2}), std::move(shape));
  if (c.value(0) == nullptr || c.value(1) == nullptr || c.value(2) == nullptr) return {};
  auto out = evaluate_where(*c.value(0), *c.value(1), *c.value(2));
  if (out) c.set_value(0, std::move(*out));
  return {};
}

// Gate and value have one shape: no broadcasting.
Status swiglu(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  FEWBIT_TRY(c.check_same_elem(0, 1));
  auto merged = merge_types(c.type(0), c.type(1));
  if (!merged) return c.fail(1, "the shape of {}, {}", c.input_label(0), c.type(0).to_string());
  c.set_type(0, std::move(*merged));
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "Add", 1, 2, 2, 1, 1, arithmetic},
    {"", "And", 1, 2, 2, 1, 1, logical},
    {"", "BitShift", 11, 2, 2, 1, 1, bitwise},
    {"", "BitwiseAnd", 18, 2, 2, 1, 1, bitwise},
    {"", "BitwiseOr", 18, 2, 2, 1, 1, bitwise},
    {"", "BitwiseXor", 18, 2, 2, 1, 1, bitwise},
    {"", "Div", 1, 2, 2, 1, 1, arithmetic},
    {"", "Equal", 1, 2, 2, 1, 1, equality},
    {"", "Greater", 1, 2, 2, 1, 1, order},
    {"", "GreaterOrEqual", 12, 2, 2, 1, 1, order},
    {"", "Less", 1, 2, 2, 1, 1, order},
    {"", "LessOrEqual", 12, 2, 2, 1, 1, order},
    {"", "Max", 1, 1, -1, 1, 1, arithmetic},
    {"", "Mean", 1, 1, -1, 1, 1, real},
    {"", "Min", 1, 1, -1, 1, 1, arithmetic},
    {"", "Mod", 10, 2, 2, 1, 1, arithmetic},
    {"", "Mul", 1, 2, 2, 1, 1, arithmetic},
    {"", "Or", 1, 2, 2, 1, 1, logical},
    {"", "Pow", 1, 2, 2, 1, 1, power},
    {"", "PRelu", 1, 2, 2, 1, 1, prelu},
    {"", "StringConcat", 20, 2, 2, 1, 1, strings},
    {"", "Sub", 1, 2, 2, 1, 1, arithmetic},
    {"", "Sum", 1, 1, -1, 1, 1, real},
    {"", "SwiGLU", 28, 2, 2, 1, 1, swiglu},
    {"", "Where", 9, 3, 3, 1, 1, where},
    {"", "Xor", 1, 2, 2, 1, 1, logical},
};

}  // namespace

std::span<const SchemaRow> binary_rows() {
  return kRows;
}

}  // namespace fewbit::infer
