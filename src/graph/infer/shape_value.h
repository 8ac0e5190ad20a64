#pragma once
// Values that are shapes: reading them from inputs, and moving their elements about.

#include <optional>
#include <vector>

#include "graph/infer_context.h"

namespace fewbit::infer {

/// The shape that the elements of input i spell: unknown elements are unknown dimensions; if only
/// their number is known, that many unknown dimensions. nullopt if not even that is.
/// Error: a negative element, or an input of more than one dimension.
Result<std::optional<Shape>> shape_from_input(const InferContext& c, size_t i);

/// The value of input i; if there is none but the shape is static and small, all elements unknown.
std::optional<PartialValue> value_or_unknown(const InferContext& c, size_t i);

/// The axes of attribute `axes` (before the operator's version `input_since`) or of input `i`.
struct Axes {
  bool given = false;                          ///< false: the operator's default applies
  std::optional<std::vector<int64_t>> values;  ///< as written, may be negative
  std::optional<int64_t> count;                ///< how many, where only that is known
};
Axes axes_of(const InferContext& c, size_t i, int input_since);

/// The same elements under other dimensions; nullopt if not all are known or the number differs.
std::optional<PartialValue> reshaped(const PartialValue& v, const std::optional<Shape>& shape);

PartialValue transposed(const PartialValue& v, const std::vector<int64_t>& perm);

/// One axis of a slice: `count` elements from `start` in steps of `step`.
struct SliceAxis {
  int64_t start = 0;
  int64_t step = 1;
  int64_t count = 0;
};
PartialValue sliced(const PartialValue& v, const std::vector<SliceAxis>& axes);

}  // namespace fewbit::infer
