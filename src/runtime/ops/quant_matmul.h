#pragma once
// Products of 8-bit matrices, shared by the ONNX and the com.microsoft operators.

#include "runtime/ops/quant_math.h"

namespace fewbit::ops {

/// Values (scales, zero points) per tensor, per line of a matrix, or per line of each matrix of a
/// stack: line `line` of matrix `matrix` uses number matrix * matrix_step + line * line_step.
struct PerLine {
  int64_t matrix_step = 0, line_step = 0;
  size_t at(int64_t matrix, int64_t line) const {
    return static_cast<size_t>(matrix * matrix_step + line * line_step);
  }
};

/// How `parameter` spreads over the rows (or columns) of `codes`: [], [1], [lines], or the shape of
/// the codes with 1 in the other of the two last dimensions.
Result<PerLine> spread(const Node& node, const Tensor& codes, const Tensor& parameter, bool rows);

/// (a - a_zero)(b - b_zero) as numpy.matmul, uint8 or int8 in, the int32 sums in uint32 (two's
/// complement). An undefined zero point is 0; a's go by rows, b's by columns.
Result<Tensor> integer_product(const Node& node, const Tensor& a, const Tensor& a_zero,
                               const Tensor& b, const Tensor& b_zero);

}  // namespace fewbit::ops
