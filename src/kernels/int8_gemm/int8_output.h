#pragma once
// What happens to the int32 sums of an 8-bit product (convolution, depthwise, matrix product):
// one description for all of them.
//
//   acc[c]  = sum_k (a - a_zero) (w - w_zero[c]) + bias[c]        int32, modulo 2^32
//
//   8 bits:  q = clamp(rne(float(acc) * scale[c]), lo - zero, hi - zero) + zero
//   + add:   q = clamp(rne(fma(x, rx, fma(y, ry, fixed))), lo2, hi2)     see Int8Residual
//   + lut:   q = lut[q as an unsigned byte]
//   float32: f = min(max(float(acc) * scale[c] + float_bias[c], float_lo), float_hi)
//   int32:   acc
//
// rne rounds to nearest, ties to even. Every float operation is a single-precision one, in the
// order written and not contracted, so that results are the same bits on every instruction set and
// equal those of ONNX Runtime's MlasRequantizeOutput and QLinearAdd.

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"

namespace fewbit {

/// A quantized addition fused behind the requantization (ONNX Runtime's QLinearAdd). The product's
/// own value q (with `product_scale`, `product_zero`), the residual and the result have one type.
///   rx = scale of x / out_scale, ry = scale of y / out_scale,
///   fixed = float(out_zero) - (rx * x_zero + ry * y_zero)
/// x is the product and y the residual, or the other way round (`residual_first`): the order of
/// the two operands of the addition in the model decides the last bit of the float sum.
struct Int8Residual {
  float product_scale = 1;
  int32_t product_zero = 0;
  float residual_scale = 1;
  int32_t residual_zero = 0;
  float out_scale = 1;
  int32_t out_zero = 0;
  int32_t lo2 = 0;    ///< Smallest result, a value of the output type.
  int32_t hi2 = 255;  ///< Largest result.
  bool residual_first = false;
};

struct Int8OutputSpec {
  /// kUint8 or kInt8: requantized; kFloat32; kInt32.
  DType type = DType::kUint8;
  /// The multiplier of each output channel, or one for all. 8 bits: a_scale * w_scale / out_scale.
  /// float32: a_scale * w_scale. int32: ignored, may be empty.
  std::vector<float> scale;
  /// float32 only: added after scaling; empty, or one per output channel.
  std::vector<float> float_bias;
  float float_lo = -std::numeric_limits<float>::infinity();
  float float_hi = std::numeric_limits<float>::infinity();
  /// 8 bits only: zero point, and the range that a fused ReLU or Clip leaves (values of `type`).
  int32_t zero = 0;
  int32_t lo = 0;
  int32_t hi = 255;
  std::optional<Int8Residual> residual;
  /// 8 bits only: empty, or 256 bytes indexed by the bit pattern of q, applied last.
  std::vector<uint8_t> lut;

  bool is_8bit() const { return type == DType::kUint8 || type == DType::kInt8; }
};

/// Checks sizes and ranges against `channels`: what a kernel would otherwise have to trust.
Status validate(const Int8OutputSpec& spec, int64_t channels);

/// Bytes of one output element.
int64_t output_element_bytes(DType type);

}  // namespace fewbit
