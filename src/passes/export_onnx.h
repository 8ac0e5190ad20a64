#pragma once
// Weights in few bits (ai.fewbit.Decode) in the operators of ONNX, for files that other runtimes
// read. Values do not change: codes go over as the integers that they stand for, into ONNX's next
// wider type.
//
//   int2 .. int8, mxint8, ternary, binary   DequantizeLinear of int2, int4 or int8: per tensor, per
//                                           axis, or blocked
//   uint2 .. uint8                          the same of unsigned types, with zero-points
//   fp8e4m3, fp8e5m2, mxfp8, mxfp8e5m2      DequantizeLinear of float8
//   fp16, bf16                              Cast to float32
//
// A matrix [rows, cols] of a tensor with more dimensions (a convolution) has groups that no axis of
// it has: it is dequantized as a matrix and reshaped. MatMul weights keep their [K, N], blocked
// along axis 0: the form that ONNX Runtime fuses. Scales become float32, the type of what follows.
//
// Sources: ONNX operator DequantizeLinear-13 to -25; com.microsoft.MatMulNBits in ONNX Runtime's
// contrib operators.

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit {

struct ExportOptions {
  /// Products with a matrix of 2, 4 or 8 bits in groups of a power of two become MatMulNBits of the
  /// domain com.microsoft, which ONNX Runtime runs on few-bit kernels, in place of
  /// DequantizeLinear.
  bool matmul_nbits = false;
};

/// Rewrites every Decode node of `model` and raises its opset as far as the types need. Errors
/// (kUnsupported): a format without a form in ONNX (names the weight, and a file that can carry
/// it). The same of a product marked with kInt8Activations, whose rounding would be lost.
Status export_decode_nodes(Model& model, const ExportOptions& options);

}  // namespace fewbit
