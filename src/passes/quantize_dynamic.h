#pragma once
// Dynamic quantization: products with constant weights compute on integers, and the scale of their
// input is found at each run, from the data itself. No calibration.
//
//   y = (q_x - z_x) W_q * s_x * s_w + bias          sums in int32, the rest in float32
//
// Per tensor (one scale, uint8) it is written with DynamicQuantizeLinear and MatMulInteger, in the
// form that ONNX Runtime fuses into DynamicQuantizeMatMul or MatMulIntegerToFloat. Per token (one
// scale per row) no single operator exists: it is written out in the operators of ONNX, which every
// consumer runs and which runtime/rewrite/fuse_dynamic.cpp makes into one kernel again. A row's
// codes are int8 around 0, or uint8 with a zero-point:
//
//   symmetric    s = max|x| / 127                       q = rne(x / s)
//   asymmetric   s = (max(x, 0) - min(x, 0)) / 255      z = rne(-min(x, 0) / s)
//                                                       q = clamp(rne(x / s) + z, 0, 255)
//                y = (q W_q - z * column sums of W_q) * s * s_w

#include "base/result.h"
#include "passes/quantize_graph.h"

namespace fewbit {

/// Rows of weights up to this length cannot overflow the int32 sums: 255 * 127 * k < 2^31.
inline constexpr int64_t kMaxDynamicDepth = 65793;

/// Replaces the weighted layers of `placement` (MatMul and Gemm). `graph` has float weights and
/// inferred types. Per token, `scheme` asks for symmetric codes by activation_symmetric or int8 as
/// the type; per tensor there is only asymmetric uint8 (error otherwise).
Result<QuantizedGraph> quantize_dynamic(const Graph& graph, const Placement& placement,
                                        const QuantScheme& scheme);

}  // namespace fewbit
