#pragma once
// What all small floating-point formats share: rounding a float to few mantissa bits.
//
// A format of E exponent and M mantissa bits with bias B holds, for exponent field e and mantissa
// m,
//   e > 0:  (-1)^s 2^(e - B) (1 + m / 2^M)        e = 0:  (-1)^s 2^(1 - B) (m / 2^M)
// What the codes at the top mean (infinity, NaN or numbers) differs by format; so each format's
// header caps the magnitude that round_magnitude gives.

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace fewbit {

inline constexpr uint32_t kFloatSign = 0x80000000;
inline constexpr uint32_t kFloatInfinity = 0x7f800000;

/// The code, without sign, nearest to the float with the bits `magnitude` (sign clear, not NaN),
/// ties to the even code, for M = MantissaBits and B = Bias in [1, 126]. Codes go on past the
/// format's largest: whoever calls compares with it (infinity gives a code past the largest, too).
template <int MantissaBits, int Bias>
constexpr uint32_t round_magnitude(uint32_t magnitude) {
  constexpr int kDropped = 23 - MantissaBits;
  const int exponent = static_cast<int>(magnitude >> 23) - 127 + Bias;
  if (exponent > 0) {
    const uint32_t rebiased = magnitude - (static_cast<uint32_t>(127 - Bias) << 23);
    const uint32_t odd = (rebiased >> kDropped) & 1;
    return (rebiased + (1U << (kDropped - 1)) - 1 + odd) >>
           kDropped;  // a carry enters the exponent
  }
  const int dropped = kDropped + 1 - exponent;
  if (dropped > 24) return 0;  // below half of the smallest subnormal
  const uint32_t significand = (magnitude & 0x7fffff) | 0x800000;
  const uint32_t odd = (significand >> dropped) & 1;
  return (significand + (1U << (dropped - 1)) - 1 + odd) >> dropped;
}

/// The value of a code without sign, all codes taken as numbers.
template <int MantissaBits, int Bias>
constexpr float magnitude_value(uint32_t code) {
  const uint32_t exponent = code >> MantissaBits;
  const uint32_t mantissa = code & ((1U << MantissaBits) - 1);
  if (exponent > 0) {
    return std::bit_cast<float>((exponent + static_cast<uint32_t>(127 - Bias)) << 23 |
                                mantissa << (23 - MantissaBits));
  }
  constexpr float kStep =
      std::bit_cast<float>(static_cast<uint32_t>(127 + 1 - Bias - MantissaBits) << 23);
  return static_cast<float>(mantissa) * kStep;
}

/// x as a float, rounded to odd: toward zero, and the last bit set if anything was lost. Rounding
/// the result to a format of at most 22 significant bits gives what rounding x itself gives
/// (S. Boldo, G. Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
inline float round_to_odd(double x) {
  const auto nearest = static_cast<float>(x);
  if (static_cast<double>(nearest) == x || std::isnan(x)) return nearest;
  auto bits = std::bit_cast<uint32_t>(nearest);
  if (std::abs(static_cast<double>(nearest)) > std::abs(x)) --bits;  // toward zero
  return std::bit_cast<float>(bits | 1);
}
inline float round_to_odd(float x) {
  return x;
}
inline float round_to_odd(uint64_t x) {
  const int lost_bits = 64 - std::countl_zero(x) - 24;
  if (lost_bits <= 0) return static_cast<float>(x);
  const uint64_t lost = x & ((uint64_t{1} << lost_bits) - 1);
  const uint64_t kept = (x >> lost_bits) | (lost != 0 ? 1 : 0);
  return std::ldexp(static_cast<float>(kept), lost_bits);
}
inline float round_to_odd(int64_t x) {
  const float magnitude =
      round_to_odd(x < 0 ? -static_cast<uint64_t>(x) : static_cast<uint64_t>(x));
  return x < 0 ? -magnitude : magnitude;
}

}  // namespace fewbit
