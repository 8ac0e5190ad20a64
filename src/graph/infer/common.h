#pragma once
// What several rows share.

#include <initializer_list>
#include <optional>

#include "graph/infer_context.h"

namespace fewbit::infer {

/// A copy of the shape of input i, or nullopt.
inline std::optional<Shape> shape_of(const InferContext& c, size_t i) {
  const Shape* s = c.shape(i);
  return s == nullptr ? std::nullopt : std::optional(*s);
}

/// Output 0 is like input 0.
Status same_as_input(InferContext& c);
/// Output 0 is like input 0, which must be float16, bfloat16, float32 or float64.
Status same_as_float_input(InferContext& c);

/// Numpy broadcasting of these inputs (left out ones are skipped): nullopt if the shape of one is
/// unknown; error if they certainly do not fit.
Result<std::optional<Shape>> broadcast_inputs(const InferContext& c,
                                              const std::vector<size_t>& which);

/// Input i must be broadcastable to `target` without making it larger.
Status check_broadcasts_to(const InferContext& c, size_t i, const Shape& target);

/// Element type of the first of these inputs that is known.
DType first_elem(const InferContext& c, const std::vector<size_t>& which);

/// keepdims / removal of the normalised `axes` from `shape`.
Shape reduce_shape(const Shape& shape, const std::vector<int64_t>& axes, bool keepdims);

/// Scalar or one-element tensor check: input i has exactly one element (rank 0, or rank 1 of 1).
Status check_one_element(const InferContext& c, size_t i);

}  // namespace fewbit::infer
