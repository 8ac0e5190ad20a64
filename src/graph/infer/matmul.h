#pragma once
// Shapes of matrix products, for the rows of several domains.

#include <optional>

#include "graph/infer_context.h"

namespace fewbit::infer {

/// Numpy's matmul of inputs a and b: batch dimensions broadcast, vectors become rows and columns.
/// nullopt if a shape is unknown.
Result<std::optional<Shape>> matmul_shape(const InferContext& c, size_t a, size_t b,
                                          bool transpose_a, bool transpose_b);

/// Gemm's two-dimensional product with the attributes transA and transB.
Result<Shape> gemm_shape(const InferContext& c, size_t a, size_t b);

}  // namespace fewbit::infer
