#pragma once
// Weights in few bits as integers under one scale per row: what an integer convolution or product
// takes. Inside a session the node ai.fewbit.DecodeIntegers stands for them; no file has it.
//
//   inputs, format, rows, cols, dims, transposed   as ai.fewbit.Decode (packed_weight.h)
//   scales                                         [rows]: integer = rne(weight / scale[row])
//   output                                         int8 [dims], the integers
//
// Its readers (QLinearConv, QGemm, ...) hold the scales, and unpack the integers from few bits when
// they run (SPEC.few_bits of kernels/int8_conv and kernels/int8_gemm).

#include <vector>

#include "runtime/packed_weight.h"

namespace fewbit {

inline bool is_integer_decode(const Node& node) {
  return node.is("DecodeIntegers", "ai.fewbit");
}

/// The scales of a matrix whose weights are scale[row] * integer, the integer in int8 and the same
/// for every group of the row; [rows], all positive. Error (kUnsupported), with the reason: a
/// format that is not affine, zero-points that are no integers, groups whose scales have no common
/// divisor of which each is a small multiple.
Result<std::vector<float>> integer_scales(const PackedMatrix& matrix);

/// The integers of such a matrix as an int8 tensor of `dims`, laid out as decode_tensor does. With
/// `scales` [rows] that are larger than integer_scales says, they are rounded to multiples of
/// those.
Tensor integer_tensor(const PackedMatrix& matrix, std::span<const float> scales, const Dims& dims,
                      bool transposed);

/// A DecodeIntegers node in place of a Decode node; its output is the caller's to set.
Node integer_decode_node(const Node& decode, const std::vector<float>& scales);

/// The integers of the value, if a DecodeIntegers node gives it; else nothing.
Result<std::optional<Tensor>> integers_of(const Graph& graph, ValueId value);

}  // namespace fewbit
