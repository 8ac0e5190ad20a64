#pragma once
// Rounding and saturating to integer codes, and the sums behind the 8-bit operators.
//
// Everything rounds half to even and computes scales in float, as ONNX's text says.

#include <algorithm>
#include <limits>

#include "runtime/ops/window.h"

namespace fewbit::ops {

/// Nearest integer, ties to even, for |v| <= 2^22: adding 1.5 * 2^23 leaves no fraction bits, so
/// the addition itself rounds. Unlike std::nearbyint it vectorises without SSE4.1.
inline float round_even_small(float v) {
  constexpr float kMagic = 12582912.0F;
  return (v + kMagic) - kMagic;
}

/// saturate(round(v) + zero) to [low, high], |low|, |high| <= 2^17; NaN becomes the lowest code.
/// The clamp comes first: its bounds are integers, so rounding commutes with it.
inline int32_t to_code(float v, int32_t zero, int32_t low, int32_t high) {
  const auto lowest = static_cast<float>(low - zero), highest = static_cast<float>(high - zero);
  const float clamped = v > lowest ? (v < highest ? v : highest) : lowest;
  return static_cast<int32_t>(round_even_small(clamped)) + zero;
}

template <typename Q>
Q to_code(float v, int32_t zero) {
  return static_cast<Q>(
      to_code(v, zero, std::numeric_limits<Q>::lowest(), std::numeric_limits<Q>::max()));
}

using Codes8 = Types<uint8_t, int8_t>;

/// Integers of a uint8 or int8 tensor as int32.
Result<std::vector<int32_t>> read_codes8(const Node& node, const Tensor& tensor);

/// Floats of a float32, float16 or bfloat16 tensor.
Result<std::vector<float>> read_floats(const Node& node, const Tensor& tensor,
                                       std::string_view what);

/// One positive float: the scale of a whole tensor.
Result<float> read_scale(const OpContext& ctx, size_t i);

/// One zero point, 0 if input i was not given. Error if its type is not that of `codes`.
Result<int32_t> read_zero(const OpContext& ctx, size_t i, DType codes);

/// The uint8 scale and zero point of data, as DynamicQuantizeLinear defines them: the range of the
/// values and 0 over 255 steps. Data of nothing but zeros gets scale 1.
struct DynamicScale {
  float scale;
  int32_t zero;
};
DynamicScale dynamic_scale(std::span<const float> values);

/// codes - zero as two's complement in uint32, so that sums are taken modulo 2^32 as ONNX allows.
/// `zeros` holds one value, or one per index of dimension `axis`.
Result<Tensor> centered(const Node& node, const Tensor& codes, const std::vector<int32_t>& zeros,
                        size_t axis);

}  // namespace fewbit::ops
