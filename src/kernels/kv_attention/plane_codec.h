#pragma once
// Planes from and to float32, written once over a policy L (lanes_*.h): L::V is a vector type of
// kernels/pointwise/vec. Included by rows_*.cpp only, after the policy and under its target.

#include "kernels/kv_attention/kv_core.h"

namespace fewbit::kv {
namespace {

#define FEWBIT_INLINE_TEMPLATE inline __attribute__((always_inline))

/// Codes of fp8 are read as the top bits of a float32, whose exponent has a bias larger by 120.
/// What they are multiplied with makes up for one half, the sum's finish for the other: each part
/// stays far from the ends of float32.
inline constexpr float kFp8Half = 0x1p60F;

template <class L>
struct Affine {
  typename L::V::F scale, offset;
};

/// Scales and offsets of L::V::kLanes rows.
template <class L>
FEWBIT_INLINE_TEMPLATE Affine<L> load_affine(const uint32_t* pairs) {
  using V = typename L::V;
  const auto words = V::load_wide(reinterpret_cast<const int32_t*>(pairs));
  return {V::from_bits(V::template shift_left<16>(words)),
          V::from_bits(V::and_int(words, V::set_int(static_cast<int32_t>(0xffff0000))))};
}

inline float scale_of(uint32_t pair) {
  return __builtin_bit_cast(float, pair << 16);
}
inline float offset_of(uint32_t pair) {
  return __builtin_bit_cast(float, pair & 0xffff0000U);
}

/// Rows in a 32-bit lane.
template <KvFormat Format>
inline constexpr int kLaneRows = 32 / bits_of(Format);

/// Row I of a line's lanes as float32: the value, or the code; fp8 times 2^-120.
template <class L, KvFormat Format, int I>
FEWBIT_INLINE_TEMPLATE typename L::V::F level(typename L::V::I line) {
  using V = typename L::V;
  if constexpr (Format == KvFormat::kFloat32) {
    return V::from_bits(line);
  } else if constexpr (Format == KvFormat::kBfloat16) {
    return V::from_bits(I == 0 ? V::template shift_left<16>(line)
                               : V::and_int(line, V::set_int(static_cast<int32_t>(0xffff0000))));
  } else if constexpr (Format == KvFormat::kFp8) {
    // The byte to the top, its sign kept there, the other seven bits four places down.
    const auto top = I == 3 ? line : V::template shift_left<(I == 3 ? 0 : 24 - 8 * I)>(line);
    return V::from_bits(
        V::and_int(V::template shift_right<4>(top), V::set_int(static_cast<int32_t>(0x87f00000))));
  } else {
    constexpr bool kByte = Format == KvFormat::kInt8;
    constexpr int kShift = kByte ? 8 * I : 8 * (I % 4) + 4 * (I / 4);
    const auto down = kShift == 0 ? line : V::template shift_right<kShift>(line);
    return V::to_float(V::and_int(down, V::set_int(kByte ? 0xff : 0x0f)));
  }
}

/// body(std::integral_constant<int, 0>), ... up to Count - 1.
template <int Count, class Body>
FEWBIT_INLINE_TEMPLATE void unrolled(Body&& body) {
  [&]<int... I>(std::integer_sequence<int, I...>) {
    (body(std::integral_constant<int, I>{}), ...);
  }
  (std::make_integer_sequence<int, Count>{});
}

/// Calls body(row, col, value) for each vector of a plane, `value` in float32; rows of a lane one
/// after the other.
template <class L, KvFormat Format, class Body>
FEWBIT_INLINE_TEMPLATE void each_vector(const Plane& plane, const uint8_t* from, Body&& body) {
  using V = typename L::V;
  constexpr int kRows = kLaneRows<Format>;
  const auto* pairs = reinterpret_cast<const uint32_t*>(from);
  const uint8_t* codes = from + plane.scale_bytes();
  for (int row = 0; row < plane.rows; row += kRows, codes += plane.row_stride()) {
    for (int first = 0, g = 0; first < plane.cols; first += plane.group, ++g) {
      typename V::F scale[kRows], offset[kRows];
      if constexpr (has_scales(Format)) {
        for (int i = 0; i < kRows; ++i) {
          const uint32_t pair = pairs[g * plane.rows + row + i];
          scale[i] = V::set(scale_of(pair) * (Format == KvFormat::kFp8 ? kFp8Half : 1.0F));
          offset[i] = V::set(offset_of(pair));
        }
      }
      const int last = first + plane.group < plane.cols ? first + plane.group : plane.cols;
      for (int col = first; col < last; col += V::kLanes) {
        const auto line = V::load_wide(reinterpret_cast<const int32_t*>(codes + 4 * col));
        unrolled<kRows>([&](auto i) {
          typename V::F value = level<L, Format, i>(line);
          if constexpr (Format == KvFormat::kFp8) value = V::mul(value, V::set(kFp8Half));
          if constexpr (has_scales(Format)) value = V::fma(value, scale[i], offset[i]);
          body(row + i, col, value);
        });
      }
    }
  }
}

/// Calls body(std::integral_constant<KvFormat, format>).
template <class Body>
FEWBIT_INLINE_TEMPLATE void with_format(KvFormat format, Body&& body) {
  using enum KvFormat;
  switch (format) {
    case kFloat32:
      return body(std::integral_constant<KvFormat, kFloat32>{});
    case kBfloat16:
      return body(std::integral_constant<KvFormat, kBfloat16>{});
    case kInt8:
      return body(std::integral_constant<KvFormat, kInt8>{});
    case kInt4:
      return body(std::integral_constant<KvFormat, kInt4>{});
    case kFp8:
      return body(std::integral_constant<KvFormat, kFp8>{});
  }
}

template <class L>
void decode_plane(const Plane& plane, const uint8_t* from, float* to) {
  with_format(plane.format, [&](auto format) {
    each_vector<L, format>(plane, from, [&](int row, int col, typename L::V::F value) {
      L::V::store(to + int64_t{row} * plane.cols + col, value);
    });
  });
}

/// The bits of the nearest bfloat16 (ties to even) in the upper half of each lane, below them
/// anything. NaN becomes one that rounding keeps.
template <class L>
FEWBIT_INLINE_TEMPLATE typename L::V::I rounded_bf16(typename L::V::F x) {
  using V = typename L::V;
  const auto bits = V::bits(V::select(V::unordered(x), V::set(__builtin_nanf("")), x));
  const auto odd = V::and_int(V::template shift_right<16>(bits), V::set_int(1));
  return V::add_int(bits, V::add_int(odd, V::set_int(0x7fff)));
}

/// Two of them in one lane.
template <class L>
FEWBIT_INLINE_TEMPLATE typename L::V::I pair_bf16(typename L::V::F low, typename L::V::F high) {
  using V = typename L::V;
  const auto below =
      V::and_int(V::template shift_right<16>(rounded_bf16<L>(low)), V::set_int(0xffff));
  return V::or_int(below,
                   V::and_int(rounded_bf16<L>(high), V::set_int(static_cast<int32_t>(0xffff0000))));
}

/// bfloat16 bits at or beyond x: below (`up` false) or above. What overflows becomes infinite.
inline uint32_t bf16_beyond(float x, bool up) {
  const auto bits = __builtin_bit_cast(uint32_t, x);
  const bool negative = (bits >> 31) != 0;
  const bool exact = (bits & 0xffff) == 0;
  return (bits >> 16) + (!exact && negative != up ? 1 : 0);
}

// The scale and offset of a row that lies between low and high, as a pair of bfloat16.
inline uint32_t affine_pair(float low, float high, KvFormat format) {
  constexpr uint32_t kNan = 0x7fc07fc0;
  if (!(high - low < __builtin_inff())) return kNan;
  uint32_t offset = 0, scale;
  if (format == KvFormat::kFp8) {
    scale = bf16_beyond((high > -low ? high : -low) / 448.0F, true);
  } else {
    offset = bf16_beyond(low, false);
    const float levels = format == KvFormat::kInt8 ? 255.0F : 15.0F;
    scale = bf16_beyond((high - offset_of(offset << 16)) / levels, true);
  }
  // A scale below the least normal number would have no reciprocal.
  if (scale < 0x0080) scale = high > low || format == KvFormat::kFp8 ? 0x0080 : 0;
  const bool finite = (scale & 0x7f80) != 0x7f80 && (offset & 0x7f80) != 0x7f80;
  return finite ? offset << 16 | scale : kNan;
}

template <class L>
uint32_t row_affine(const float* x, int count, KvFormat format) {
  using V = typename L::V;
  typename V::F low = V::load(x), high = low, not_finite = V::set(0);
  for (int i = 0; i < count; i += V::kLanes) {
    const auto v = V::load(x + i);
    low = V::min(low, v);
    high = V::max(high, v);
    not_finite = V::fma(v, V::set(0), not_finite);
  }
  const float nan_or_zero = V::sum(not_finite);
  return affine_pair(V::least(low) + nan_or_zero, V::largest(high) + nan_or_zero, format);
}

// x as e4m3 in the low byte: nearest, ties to even; |x| <= 448.
template <class L>
FEWBIT_INLINE_TEMPLATE typename L::V::I fp8_code(typename L::V::F x) {
  using V = typename L::V;
  const auto magnitude = V::abs(x);
  const auto bits = V::bits(magnitude);
  const auto odd = V::and_int(V::template shift_right<20>(bits), V::set_int(1));
  const auto rounded =
      V::template shift_right<20>(V::add_int(bits, V::add_int(odd, V::set_int(0x7ffff))));
  // Below the least normal number, 2^-6: that or zero.
  const auto normal = V::sub_int(rounded, V::set_int(120 << 3));
  const auto small = V::bits(
      V::select(V::lt(V::set(0x1p-7F), magnitude), V::from_bits(V::set_int(0x08)), V::set(0)));
  const auto code = V::bits(
      V::select(V::lt(magnitude, V::set(0x1p-6F)), V::from_bits(small), V::from_bits(normal)));
  const auto sign = V::and_int(V::template shift_right<24>(V::bits(x)), V::set_int(0x80));
  return V::or_int(code, sign);
}

template <class L, KvFormat Format, int I>
FEWBIT_INLINE_TEMPLATE typename L::V::I code_in_place(typename L::V::F x, uint32_t pair) {
  using V = typename L::V;
  const float scale = scale_of(pair);
  const float inverse = scale > 0 ? 1.0F / scale : 0.0F;
  // V::min and V::max give their second operand where the first is NaN.
  typename V::I code;
  if constexpr (Format == KvFormat::kFp8) {
    const auto scaled = V::mul(x, V::set(inverse));
    code = fp8_code<L>(V::min(V::max(scaled, V::set(-448)), V::set(448)));
  } else {
    const float largest = Format == KvFormat::kInt8 ? 255.0F : 15.0F;
    const auto scaled = V::mul(V::sub(x, V::set(offset_of(pair))), V::set(inverse));
    code = V::to_int(V::min(V::max(scaled, V::set(0)), V::set(largest)));
  }
  constexpr int kShift = Format == KvFormat::kInt4 ? 8 * (I % 4) + 4 * (I / 4) : 8 * I;
  return kShift == 0 ? code : V::template shift_left<kShift>(code);
}

template <class L, KvFormat Format>
void encode_scaled(const Plane& plane, const float* from, uint8_t* to) {
  using V = typename L::V;
  constexpr int kRows = kLaneRows<Format>;
  auto* pairs = reinterpret_cast<uint32_t*>(to);
  uint8_t* codes = to + plane.scale_bytes();
  for (int row = 0; row < plane.rows; row += kRows, codes += plane.row_stride()) {
    for (int first = 0, g = 0; first < plane.cols; first += plane.group, ++g) {
      const int last = first + plane.group < plane.cols ? first + plane.group : plane.cols;
      uint32_t* pair = pairs + g * plane.rows + row;
      const float* x[kRows];
      for (int i = 0; i < kRows; ++i) {
        x[i] = from + int64_t{row + i} * plane.cols;
        pair[i] = row_affine<L>(x[i] + first, last - first, Format);
      }
      for (int col = first; col < last; col += V::kLanes) {
        auto line = V::set_int(0);
        unrolled<kRows>([&](auto i) {
          line = V::or_int(line, code_in_place<L, Format, i>(V::load(x[i] + col), pair[i]));
        });
        V::store_narrow(reinterpret_cast<int32_t*>(codes + 4 * col), line);
      }
    }
  }
}

template <class L>
void encode_plane(const Plane& plane, const float* from, uint8_t* to) {
  using V = typename L::V;
  using enum KvFormat;
  switch (plane.format) {
    case kFloat32:
      __builtin_memcpy(to, from, static_cast<size_t>(plane.code_bytes()));
      return;
    case kBfloat16:
      for (int row = 0; row < plane.rows; row += 2, to += plane.row_stride()) {
        const float* x = from + int64_t{row} * plane.cols;
        for (int col = 0; col < plane.cols; col += V::kLanes) {
          V::store_narrow(reinterpret_cast<int32_t*>(to + 4 * col),
                          pair_bf16<L>(V::load(x + col), V::load(x + plane.cols + col)));
        }
      }
      return;
    case kInt8:
      return encode_scaled<L, kInt8>(plane, from, to);
    case kInt4:
      return encode_scaled<L, kInt4>(plane, from, to);
    case kFp8:
      return encode_scaled<L, kFp8>(plane, from, to);
  }
}

}  // namespace
}  // namespace fewbit::kv
