#pragma once
// Arithmetic on partly known elements, for the operators that compute shapes: what a result is, as
// far as the operands are known, in the element type of the tensors.

#include <string_view>

#include "base/dtype.h"
#include "graph/infer/partial.h"

namespace fewbit::infer {

using UnaryEvaluator = PartialElement (*)(const PartialElement&);
using BinaryEvaluator = PartialElement (*)(const PartialElement&, const PartialElement&);

/// nullptr if the operator's values are not carried.
UnaryEvaluator unary_evaluator(std::string_view op_type);
BinaryEvaluator binary_evaluator(std::string_view op_type);

/// The element as one of `type`: integers that do not fit become unknown, real numbers are rounded
/// to float32 where that is the type (float16 and bfloat16: unknown).
PartialElement fit(PartialElement e, DType type);

/// Conversion between element types as Cast does it; unknown where it would saturate or wrap.
PartialElement convert(const PartialElement& e, DType to);

/// Broadcasts and applies; unknown if the result would be too large to carry.
std::optional<PartialValue> evaluate(BinaryEvaluator f, const PartialValue& a,
                                     const PartialValue& b, DType result);
std::optional<PartialValue> evaluate_where(const PartialValue& condition, const PartialValue& x,
                                           const PartialValue& y);

}  // namespace fewbit::infer
