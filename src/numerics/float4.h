#pragma once
// float4e2m1: the element of MXFP4 and NVFP4 (OCP Microscaling Formats Specification 1.0).
//
//   3 2  1 0
//   s ee m      bias 1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives; no infinity, no NaN
//
// Two per byte, the first in the low four bits: packed_int.h reads and writes the codes.

#include <array>
#include <bit>
#include <cstdint>

#include "numerics/small_float.h"

namespace fewbit {

struct Float4E2M1 {
  uint8_t bits = 0;  ///< In the low four bits.

  static constexpr std::array<float, 16> kValues = {0.0F,  0.5F,  1.0F,  1.5F,  2.0F,  3.0F,
                                                    4.0F,  6.0F,  -0.0F, -0.5F, -1.0F, -1.5F,
                                                    -2.0F, -3.0F, -4.0F, -6.0F};

  /// Nearest, ties to the even code; past 6, infinity included, 6. NaN becomes zero of
  /// the other sign, as in ONNX's reference: the format has no code for it.
  static constexpr Float4E2M1 from_float(float x) {
    const auto all = std::bit_cast<uint32_t>(x);
    const uint32_t magnitude = all & ~kFloatSign;
    const uint32_t sign = (all & kFloatSign) >> 28;
    if (magnitude > kFloatInfinity) return {static_cast<uint8_t>(sign ^ 0x8)};
    const uint32_t code = round_magnitude<1, 1>(magnitude);
    return {static_cast<uint8_t>(sign | (code < 7 ? code : 7))};
  }

  constexpr float to_float() const { return kValues[bits & 0xf]; }

  friend constexpr bool operator==(Float4E2M1, Float4E2M1) = default;  ///< Of the bits.
};

}  // namespace fewbit
