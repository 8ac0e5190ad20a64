#pragma once
// The vector policies of panel_kernel.h on 256 bits: sixteen lanes are two registers. AVX2
// multiplies unsigned bytes with signed ones into pairs of 16 bits: 2 * 127 * 127 fits, so codes of
// up to 7 bits are exact; those of 8 bits are taken in two halves. AVX-VNNI has VPDPBUSD. Include
// after setting the target; FEWBIT_HAS_VNNI says which.

#include <immintrin.h>

#include <cstdint>

namespace fewbit::few_bit {
namespace {

#define FEWBIT_INLINE static inline __attribute__((always_inline))

struct Vec256 {
  static constexpr bool kRowByRow = false;
  struct W {
    __m256i low, high;
  };
  struct I {
    __m256i low, high;
  };
  struct F {
    __m256 low, high;
  };

  FEWBIT_INLINE __m256i load_half_line(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  FEWBIT_INLINE W load(const uint8_t* p) { return {load_half_line(p), load_half_line(p + 32)}; }
  FEWBIT_INLINE W zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  template <int Shift, int Mask>
  FEWBIT_INLINE __m256i field_of(__m256i w) {
    const __m256i shifted = Shift == 0 ? w : _mm256_srli_epi32(w, Shift);
    return _mm256_and_si256(shifted, _mm256_set1_epi8(Mask));
  }
  /// Bits Shift.. of every byte, masked.
  template <int Shift, int Mask>
  FEWBIT_INLINE W field(W w) {
    return {field_of<Shift, Mask>(w.low), field_of<Shift, Mask>(w.high)};
  }
  template <int Shift>
  FEWBIT_INLINE W left(W w) {
    return {_mm256_slli_epi32(w.low, Shift), _mm256_slli_epi32(w.high, Shift)};
  }
  FEWBIT_INLINE W merge(W a, W b) {
    return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
  }
  FEWBIT_INLINE I set(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
  template <int Bits>
  FEWBIT_INLINE __m256i dp_of(__m256i sum, __m256i w, __m256i x) {
#if defined(FEWBIT_HAS_VNNI)
    return _mm256_dpbusd_avx_epi32(sum, w, x);
#else
    const __m256i ones = _mm256_set1_epi16(1);
    if constexpr (Bits == 8) {
      const __m256i low = _mm256_maddubs_epi16(field_of<0, 0x0f>(w), x);
      const __m256i high = _mm256_maddubs_epi16(field_of<4, 0x0f>(w), x);
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(low, ones));
      return _mm256_add_epi32(sum, _mm256_madd_epi16(high, _mm256_set1_epi16(16)));
    }
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), ones));
#endif
  }
  template <int Bits>
  FEWBIT_INLINE I dp(I sum, W w, const int8_t* x) {
    int32_t four;
    __builtin_memcpy(&four, x, 4);
    const __m256i all = _mm256_set1_epi32(four);
    return {dp_of<Bits>(sum.low, w.low, all), dp_of<Bits>(sum.high, w.high, all)};
  }
  FEWBIT_INLINE F to_float(I x) {
    return {_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)};
  }
  FEWBIT_INLINE F splat(float x) {
    return {_mm256_set1_ps(x), _mm256_set1_ps(x)};
  }
  FEWBIT_INLINE __m256 halves(const uint8_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  FEWBIT_INLINE F load_half(const uint8_t* p) {
    return {halves(p), halves(p + 16)};
  }
  FEWBIT_INLINE F load_floats(const float* p) {
    return load_float(reinterpret_cast<const uint8_t*>(p));
  }
  FEWBIT_INLINE F load_float(const uint8_t* p) {
    const auto* floats = reinterpret_cast<const float*>(p);
    return {_mm256_loadu_ps(floats), _mm256_loadu_ps(floats + 8)};
  }
  FEWBIT_INLINE F add_product(F sum, F a, F b) {
    return {_mm256_fmadd_ps(a.low, b.low, sum.low), _mm256_fmadd_ps(a.high, b.high, sum.high)};
  }
  FEWBIT_INLINE F scale(F x, float s) {
    const __m256 all = _mm256_set1_ps(s);
    return {_mm256_mul_ps(x.low, all), _mm256_mul_ps(x.high, all)};
  }
  FEWBIT_INLINE F multiply(F a, F b) {
    return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
  }
  FEWBIT_INLINE __m256 inverse_or_zero_of(__m256 x) {
    const __m256 usable = _mm256_cmp_ps(x, _mm256_set1_ps(0x1p-126F), _CMP_GE_OQ);
    return _mm256_and_ps(usable, _mm256_div_ps(_mm256_set1_ps(1), x));
  }
  FEWBIT_INLINE F inverse_or_zero(F x) {
    return {inverse_or_zero_of(x.low), inverse_or_zero_of(x.high)};
  }

  // Tables.
  struct T {
    __m256 low, high;  ///< levels 0 to 7 and 8 to 15
  };
  FEWBIT_INLINE W byte_table(const uint8_t* levels) {
    const __m256i both =
        _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(levels)));
    return {both, both};
  }
  FEWBIT_INLINE W lookup(W table, W codes) {
    return {_mm256_shuffle_epi8(table.low, codes.low), _mm256_shuffle_epi8(table.high, codes.high)};
  }
  FEWBIT_INLINE T float_table(const float* levels) {
    return {_mm256_loadu_ps(levels), _mm256_loadu_ps(levels + 8)};
  }
  template <int Shift, int Bits>
  FEWBIT_INLINE __m256 permute_of(T table, __m256i w) {
    const __m256i index = Shift == 0 ? w : _mm256_srli_epi32(w, Shift);
    const __m256 low = _mm256_permutevar8x32_ps(table.low, index);
    if constexpr (Bits < 4) return low;
    // Bit 3 of the code, at the sign, chooses.
    const __m256i choice = _mm256_slli_epi32(w, 28 - Shift);
    return _mm256_blendv_ps(low, _mm256_permutevar8x32_ps(table.high, index),
                            _mm256_castsi256_ps(choice));
  }
  /// Levels of the codes of `Bits` bits at bit Shift of each lane.
  template <int Shift, int Bits>
  FEWBIT_INLINE F permute(T table, W w) {
    return {permute_of<Shift, Bits>(table, w.low), permute_of<Shift, Bits>(table, w.high)};
  }
  template <int Byte>
  FEWBIT_INLINE __m256 byte_as_float_of(__m256i w) {
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(w, 24 - 8 * Byte), 24));
  }
  /// Signed.
  template <int Byte>
  FEWBIT_INLINE F byte_as_float(W w) {
    return {byte_as_float_of<Byte>(w.low), byte_as_float_of<Byte>(w.high)};
  }

  // Expansion.
  FEWBIT_INLINE I round(F x) {
    return {_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high)};
  }
  FEWBIT_INLINE __m256i pair_of_halves(__m256i low, __m256i high) {
    return _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xaa);
  }
  FEWBIT_INLINE I pair_of(I low, I high) {
    return {pair_of_halves(low.low, high.low), pair_of_halves(low.high, high.high)};
  }
  /// The Byte-th byte of each lane below the high halves of `high`.
  template <int Byte>
  FEWBIT_INLINE __m256i with_byte_of(__m256i w, __m256i high) {
    const __m256i shifted = Byte == 0 ? w : _mm256_srli_epi32(w, 8 * Byte);
    return _mm256_or_si256(_mm256_and_si256(shifted, _mm256_set1_epi32(0xff)), high);
  }
  template <int Byte>
  FEWBIT_INLINE I with_byte(W w, I high) {
    return {with_byte_of<Byte>(w.low, high.low), with_byte_of<Byte>(w.high, high.high)};
  }
  FEWBIT_INLINE I madd(I a, I b) {
    return {_mm256_madd_epi16(a.low, b.low), _mm256_madd_epi16(a.high, b.high)};
  }
  template <int Byte, int Shift>
  FEWBIT_INLINE __m256i place_of(__m256i x) {
    constexpr int kLeft = 8 * Byte - Shift;
    const __m256i moved = kLeft >= 0 ? _mm256_slli_epi32(x, kLeft < 0 ? 0 : kLeft)
                                     : _mm256_srli_epi32(x, kLeft < 0 ? -kLeft : 0);
    return _mm256_and_si256(moved, _mm256_set1_epi32(static_cast<int>(0xffU << 8 * Byte)));
  }
  /// Bits Shift .. Shift + 7 as the Byte-th byte, the others 0.
  template <int Byte, int Shift>
  FEWBIT_INLINE W place(I x) {
    return {place_of<Byte, Shift>(x.low), place_of<Byte, Shift>(x.high)};
  }
  FEWBIT_INLINE W add_to_bytes(W w, int add) {
    const __m256i all = _mm256_set1_epi8(static_cast<char>(add));
    return {_mm256_add_epi8(w.low, all), _mm256_add_epi8(w.high, all)};
  }
  template <int Shift>
  FEWBIT_INLINE __m256i scale_bytes_of(__m256i w, __m256i factors) {
    const __m256i low_bytes = _mm256_set1_epi16(0xff);
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8 - Shift);
    const __m256i odd = _mm256_srai_epi16(_mm256_andnot_si256(low_bytes, w), 8 - Shift);
    return _mm256_or_si256(_mm256_and_si256(_mm256_mulhrs_epi16(even, factors), low_bytes),
                           _mm256_slli_epi16(_mm256_mulhrs_epi16(odd, factors), 8));
  }
  /// Signed bytes times 16-bit factors (each lane's twice) over 2^(15 - Shift), rounded.
  template <int Shift>
  FEWBIT_INLINE W scale_bytes(W w, I factors) {
    return {scale_bytes_of<Shift>(w.low, factors.low), scale_bytes_of<Shift>(w.high, factors.high)};
  }
  FEWBIT_INLINE void store_line(uint8_t* p, W w) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), w.low);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), w.high);
  }

  // Blocks of many rows.
  static constexpr int kBlockRows = 4;
  static constexpr int kBlockPanels = 1;

  FEWBIT_INLINE void store(float* p, F x) {
    _mm256_storeu_ps(p, x.low);
    _mm256_storeu_ps(p + 8, x.high);
  }
  FEWBIT_INLINE void prefetch(const uint8_t* p, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(p + i), _MM_HINT_T0);
    }
  }
};

#undef FEWBIT_INLINE

}  // namespace
}  // namespace fewbit::few_bit
