// Element-wise operators of one input, and conversions of the element type.

#include "graph/infer/common.h"
#include "graph/infer/evaluate.h"
#include "graph/infer/infer_table.h"

namespace fewbit::infer {

namespace {

Status unary(InferContext& c, TypeSet allowed) {
  FEWBIT_TRY(c.check_elem(0, allowed));
  c.set_type(0, c.type(0));
  UnaryEvaluator f = unary_evaluator(c.node().op_type);
  const PartialValue* in = c.value(0);
  if (f == nullptr || in == nullptr) return {};
  PartialValue out = *in;
  for (PartialElement& e : out.elements) e = fit(f(e), c.elem(0));
  c.set_value(0, std::move(out));
  return {};
}

Status number(InferContext& c) {
  return unary(c, kNumbers);
}
Status logical(InferContext& c) {
  return unary(c, kBools);
}
Status integer(InferContext& c) {
  return unary(c, kIntegers);
}
Status real(InferContext& c) {
  return unary(c, kFloats);
}

// Clip and the like: limits in further inputs have the type of the first.
Status clip(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kNumbers));
  for (size_t i = 1; i < c.input_count(); ++i) {
    FEWBIT_TRY(c.check_same_elem(0, i));
    FEWBIT_TRY(check_one_element(c, i));
  }
  c.set_type(0, c.type(0));
  return {};
}

Status predicate(InferContext& c) {
  c.set(0, DType::kBool, shape_of(c, 0));
  return {};
}

Status set_converted(InferContext& c, DType to) {
  c.set(0, to, shape_of(c, 0));
  const PartialValue* in = c.value(0);
  if (in == nullptr || !is_partial_type(to)) return {};
  PartialValue out = *in;
  for (PartialElement& e : out.elements) e = convert(e, to);
  c.set_value(0, std::move(out));
  return {};
}

Status cast(InferContext& c) {
  FEWBIT_TRY(c.required_int("to"));
  FEWBIT_ASSIGN(DType to, c.dtype_attribute("to", DType::kUndefined));
  return set_converted(c, to);
}

Status cast_like(InferContext& c) {
  if (c.elem(1) != DType::kUndefined) return set_converted(c, c.elem(1));
  c.set(0, DType::kUndefined, shape_of(c, 0));
  return {};
}

Status bit_cast(InferContext& c) {
  FEWBIT_TRY(c.required_int("to"));
  FEWBIT_ASSIGN(DType to, c.dtype_attribute("to", DType::kUndefined));
  if (c.elem(0) != DType::kUndefined && bits_of(c.elem(0)) != bits_of(to)) {
    return c.fail(0, "elements of {} bits as those of {}", bits_of(to), name_of(to));
  }
  c.set(0, to, shape_of(c, 0));
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "Abs", 1, 1, 1, 1, 1, number},
    {"", "Acos", 7, 1, 1, 1, 1, real},
    {"", "Acosh", 9, 1, 1, 1, 1, real},
    {"", "Asin", 7, 1, 1, 1, 1, real},
    {"", "Asinh", 9, 1, 1, 1, 1, real},
    {"", "Atan", 7, 1, 1, 1, 1, real},
    {"", "Atanh", 9, 1, 1, 1, 1, real},
    {"", "BitCast", 26, 1, 1, 1, 1, bit_cast},
    {"", "BitwiseNot", 18, 1, 1, 1, 1, integer},
    {"", "Cast", 1, 1, 1, 1, 1, cast},
    {"", "CastLike", 15, 2, 2, 1, 1, cast_like},
    {"", "Ceil", 1, 1, 1, 1, 1, real},
    {"", "Celu", 12, 1, 1, 1, 1, real},
    {"", "Clip", 1, 1, 1, 1, 1, clip},
    {"", "Clip", 11, 1, 3, 1, 1, clip},
    {"", "Cos", 7, 1, 1, 1, 1, real},
    {"", "Cosh", 9, 1, 1, 1, 1, real},
    {"", "Elu", 1, 1, 1, 1, 1, real},
    {"", "Erf", 9, 1, 1, 1, 1, number},
    {"", "Exp", 1, 1, 1, 1, 1, real},
    {"", "Floor", 1, 1, 1, 1, 1, real},
    {"", "Gelu", 20, 1, 1, 1, 1, real},
    {"", "HardSigmoid", 1, 1, 1, 1, 1, real},
    {"", "HardSwish", 14, 1, 1, 1, 1, real},
    {"", "Identity", 1, 1, 1, 1, 1, same_as_input, true},
    {"", "IsInf", 10, 1, 1, 1, 1, predicate},
    {"", "IsNaN", 9, 1, 1, 1, 1, predicate},
    {"", "LeakyRelu", 1, 1, 1, 1, 1, real},
    {"", "Log", 1, 1, 1, 1, 1, real},
    {"", "Mish", 18, 1, 1, 1, 1, real},
    {"", "Neg", 1, 1, 1, 1, 1, number},
    {"", "Not", 1, 1, 1, 1, 1, logical},
    {"", "Reciprocal", 1, 1, 1, 1, 1, real},
    {"", "Relu", 1, 1, 1, 1, 1, number},
    {"", "Round", 11, 1, 1, 1, 1, real},
    {"", "Selu", 1, 1, 1, 1, 1, real},
    {"", "Shrink", 9, 1, 1, 1, 1, number},
    {"", "Sigmoid", 1, 1, 1, 1, 1, real},
    {"", "Sign", 9, 1, 1, 1, 1, number},
    {"", "Sin", 7, 1, 1, 1, 1, real},
    {"", "Sinh", 9, 1, 1, 1, 1, real},
    {"", "Softplus", 1, 1, 1, 1, 1, real},
    {"", "Softsign", 1, 1, 1, 1, 1, real},
    {"", "Sqrt", 1, 1, 1, 1, 1, real},
    {"", "Swish", 24, 1, 1, 1, 1, real},
    {"", "Tan", 7, 1, 1, 1, 1, real},
    {"", "Tanh", 1, 1, 1, 1, 1, real},
    {"", "ThresholdedRelu", 10, 1, 1, 1, 1, real},
    {"ai.onnx.ml", "Binarizer", 1, 1, 1, 1, 1, number},
};

}  // namespace

std::span<const SchemaRow> elementwise_rows() {
  return kRows;
}

}  // namespace fewbit::infer
