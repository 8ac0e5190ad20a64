#pragma once
// The 8-bit floats of ONNX.
//
//                  bits        bias  largest        infinity     NaN
//   float8e4m3fn   s eeee mmm     7  448   (0x7e)   none         0x7f, 0xff
//   float8e4m3fnuz s eeee mmm     8  240   (0x7f)   none         0x80 (so there is no -0)
//   float8e5m2     s eeeee mm    15  57344 (0x7b)   0x7c, 0xfc   0x7d .. 0x7f, 0xfd .. 0xff
//   float8e5m2fnuz s eeeee mm    16  57344 (0x7f)   none         0x80 (so there is no -0)
//   float8e8m0     eeeeeeee     127  2^127 (0xfe)   none         0xff; powers of two, no zero, no
//   sign
//
// Sources: P. Micikevicius et al., "FP8 Formats for Deep Learning", 2022 (e4m3fn, e5m2); B. Noune
// et al., "8-bit Numerical Formats for Deep Neural Networks", 2022 (the fnuz pair); OCP
// Microscaling Formats (MX) Specification 1.0 (e8m0). Conversion follows the tables of ONNX's Cast
// operator: nearest, ties to even; with `saturate` what is past the largest value, infinity
// included, becomes the largest value, without it infinity where the format has one, else NaN.

#include <array>
#include <bit>
#include <cstdint>

#include "base/tensor.h"
#include "numerics/small_float.h"

namespace fewbit {

namespace internal {

/// The signed formats: what differs is where the numbers end and what stands beyond them.
template <int MantissaBits, int Bias, uint8_t Largest, uint8_t Overflow, uint8_t Nan,
          bool HasNegativeZero>
struct Float8 {
  /// Overflow is the code (without sign) for what is too large when not saturating.
  static constexpr uint8_t encode(float x, bool saturate) {
    const auto all = std::bit_cast<uint32_t>(x);
    const auto sign = static_cast<uint8_t>((all & kFloatSign) >> 24);
    const uint32_t magnitude = all & ~kFloatSign;
    if (magnitude > kFloatInfinity) return static_cast<uint8_t>(sign | Nan);
    const uint32_t code = round_magnitude<MantissaBits, Bias>(magnitude);
    if (code > Largest) return static_cast<uint8_t>(sign | (saturate ? Largest : Overflow));
    if (code == 0 && !HasNegativeZero) return 0;
    return static_cast<uint8_t>(sign | code);
  }

  static constexpr float decode(uint8_t code) {
    const uint32_t sign = static_cast<uint32_t>(code & 0x80) << 24;
    const uint32_t magnitude = code & 0x7f;
    if (HasNegativeZero ? magnitude > Largest : code == 0x80) {
      const bool infinite = Overflow != Nan && magnitude == Overflow;
      return std::bit_cast<float>(sign | kFloatInfinity | (infinite ? 0 : 0x400000));
    }
    const float value = magnitude_value<MantissaBits, Bias>(magnitude);
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(value));
  }

  static constexpr std::array<float, 256> make_values() {
    std::array<float, 256> values{};
    for (uint32_t code = 0; code < 256; ++code) values[code] = decode(static_cast<uint8_t>(code));
    return values;
  }
};

}  // namespace internal

/// Defines one format: a struct of its bits with from_float and to_float (by a table of 256
/// values).
#define FEWBIT_FLOAT8(Name, Type, ...)                                        \
  struct Name {                                                               \
    using Format = internal::Float8<__VA_ARGS__>;                             \
    static constexpr std::array<float, 256> kValues = Format::make_values();  \
    uint8_t bits = 0;                                                         \
    static constexpr Name from_float(float x, bool saturate = true) {         \
      return {Format::encode(x, saturate)};                                   \
    }                                                                         \
    constexpr float to_float() const { return kValues[bits]; }                \
    friend constexpr bool operator==(Name, Name) = default; /* of the bits */ \
  };                                                                          \
  template <>                                                                 \
  struct DTypeOf<Name> {                                                      \
    static constexpr DType value = Type;                                      \
  };

// Mantissa bits, bias, largest, overflow, NaN (all without sign; fnuz: the sign bit is NaN), -0.
FEWBIT_FLOAT8(Float8E4M3FN, DType::kFloat8E4M3FN, 3, 7, 0x7e, 0x7f, 0x7f, true)
FEWBIT_FLOAT8(Float8E5M2, DType::kFloat8E5M2, 2, 15, 0x7b, 0x7c, 0x7e, true)
FEWBIT_FLOAT8(Float8E4M3FNUZ, DType::kFloat8E4M3FNUZ, 3, 8, 0x7f, 0x80, 0x80, false)
FEWBIT_FLOAT8(Float8E5M2FNUZ, DType::kFloat8E5M2FNUZ, 2, 16, 0x7f, 0x80, 0x80, false)
#undef FEWBIT_FLOAT8

/// How a value between two powers of two becomes one of them: ONNX Cast's `round_mode`.
enum class PowerRounding {
  kUp,       ///< The larger.
  kDown,     ///< The smaller.
  kNearest,  ///< The nearer; the larger if both are as near.
};

/// A power of two, 2^(bits - 127): the scale of the microscaling formats.
struct Float8E8M0 {
  uint8_t bits = 0;

  /// Saturating: zero and what is below 2^-127 becomes 2^-127, what is above 2^127 becomes 2^127,
  /// infinity too. Otherwise all of these become NaN. NaN, and what is negative, is NaN always.
  static constexpr Float8E8M0 from_float(float x, bool saturate = true,
                                         PowerRounding rounding = PowerRounding::kUp) {
    auto all = std::bit_cast<uint32_t>(x);
    if (all == kFloatSign) all = 0;
    if (all > kFloatInfinity) return {0xff};    // NaN, or the sign bit
    constexpr uint32_t kSmallest = 0x00400000;  // 2^-127, a subnormal float
    if (all < kSmallest) return {static_cast<uint8_t>(saturate ? 0 : 0xff)};
    // Below 2^-126 there is no implicit bit: the 22 bits after the leading one are the fraction.
    const bool subnormal = all < 0x00800000;
    const uint32_t exponent = all >> 23;
    const uint32_t fraction = subnormal ? (all - kSmallest) << 1 : all & 0x7fffff;
    const bool up = rounding == PowerRounding::kUp     ? fraction > 0
                    : rounding == PowerRounding::kDown ? false
                                                       : fraction >= 0x400000;
    const uint32_t code = exponent + (up ? 1 : 0);
    if (code > 0xfe) return {static_cast<uint8_t>(saturate ? 0xfe : 0xff)};
    return {static_cast<uint8_t>(code)};
  }

  constexpr float to_float() const {
    if (bits == 0xff) return std::bit_cast<float>(kFloatInfinity | 0x400000);
    return std::bit_cast<float>(bits == 0 ? 0x00400000 : static_cast<uint32_t>(bits) << 23);
  }

  friend constexpr bool operator==(Float8E8M0, Float8E8M0) = default;  ///< Of the bits.
};

template <>
struct DTypeOf<Float8E8M0> {
  static constexpr DType value = DType::kFloat8E8M0;
};

}  // namespace fewbit
