#pragma once
// float16: IEEE 754 binary16.
//
//   15 14      10 9         0
//   s  eeeee      mmmmmmmmmm      bias 15, largest 65504 (0x7bff), infinity 0x7c00, smallest 2^-24

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/tensor.h"
#include "numerics/small_float.h"

namespace fewbit {

struct Half {
  uint16_t bits = 0;

  /// Nearest, ties to even; from 65520 on infinity. A NaN keeps its sign and the top of its payload
  /// and becomes quiet, as the processor's own conversion does.
  static constexpr Half from_float(float x) {
    const auto all = std::bit_cast<uint32_t>(x);
    const auto sign = static_cast<uint16_t>((all & kFloatSign) >> 16);
    const uint32_t magnitude = all & ~kFloatSign;
    if (magnitude > kFloatInfinity) {
      return {static_cast<uint16_t>(sign | 0x7e00 | (magnitude >> 13 & 0x3ff))};
    }
    const uint32_t code = round_magnitude<10, 15>(magnitude);
    return {static_cast<uint16_t>(sign | (code < 0x7c00 ? code : 0x7c00))};
  }

  constexpr float to_float() const {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
    const uint32_t code = bits & 0x7fff;
    if (code >= 0x7c00) {
      const uint32_t quiet = code > 0x7c00 ? 0x400000 : 0;
      return std::bit_cast<float>(sign | kFloatInfinity | quiet | (code & 0x3ff) << 13);
    }
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude_value<10, 15>(code)));
  }

  friend constexpr bool operator==(Half, Half) = default;  ///< Of the bits.
};

template <>
struct DTypeOf<Half> {
  static constexpr DType value = DType::kFloat16;
};

/// out[i] = Half::from_float(in[i]), bit for bit; sizes must match. F16C or AVX512 where available.
void to_half(std::span<const float> in, std::span<Half> out);
/// out[i] = in[i].to_float(), bit for bit; sizes must match.
void to_float(std::span<const Half> in, std::span<float> out);

namespace internal {
/// One way to convert many values; all give the same bits.
struct HalfConversion {
  std::string_view name;
  bool runs_here;
  void (*from_float)(const float* in, Half* out, size_t count);
  void (*to_float)(const Half* in, float* out, size_t count);
};
std::span<const HalfConversion> half_conversions();  ///< Slowest first.
}  // namespace internal

}  // namespace fewbit
