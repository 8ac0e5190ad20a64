#pragma once
// bfloat16: the upper half of a float32.
//
//   15 14        7 6       0
//   s  eeeeeeee    mmmmmmm        bias 127, infinity 0x7f80, subnormals kept

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/tensor.h"
#include "numerics/small_float.h"

namespace fewbit {

struct Bfloat16 {
  uint16_t bits = 0;

  /// Nearest, ties to even. A NaN keeps its sign and the top of its payload and becomes quiet.
  static constexpr Bfloat16 from_float(float x) {
    const auto all = std::bit_cast<uint32_t>(x);
    const uint32_t quiet_nan = all >> 16 | 0x40;
    const uint32_t rounded = (all + 0x7fff + (all >> 16 & 1)) >> 16;
    return {static_cast<uint16_t>((all & ~kFloatSign) > kFloatInfinity ? quiet_nan : rounded)};
  }

  constexpr float to_float() const {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }

  friend constexpr bool operator==(Bfloat16, Bfloat16) = default;  ///< Of the bits.
};

template <>
struct DTypeOf<Bfloat16> {
  static constexpr DType value = DType::kBfloat16;
};

/// out[i] = Bfloat16::from_float(in[i]), bit for bit; sizes must match. The AVX512_BF16 instruction
/// is not used: it takes subnormals as zero.
void to_bfloat16(std::span<const float> in, std::span<Bfloat16> out);
/// out[i] = in[i].to_float(), bit for bit; sizes must match.
void to_float(std::span<const Bfloat16> in, std::span<float> out);

namespace internal {
/// One way to convert many values; all give the same bits.
struct Bfloat16Conversion {
  std::string_view name;
  bool runs_here;
  void (*from_float)(const float* in, Bfloat16* out, size_t count);
  void (*to_float)(const Bfloat16* in, float* out, size_t count);
};
std::span<const Bfloat16Conversion> bfloat16_conversions();  ///< Slowest first.
}  // namespace internal

}  // namespace fewbit
