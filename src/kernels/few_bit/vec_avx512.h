#pragma once
// The vector policy of panel_kernel.h on AVX512-VNNI: sixteen lanes are one register. Include after
// setting the target.

#include <immintrin.h>

#include <cstdint>

namespace fewbit::few_bit {
namespace {

#define FEWBIT_INLINE static inline __attribute__((always_inline))

struct VecAvx512 {
  static constexpr bool kRowByRow = false;
  using W = __m512i;  // sixteen times four codes
  using I = __m512i;
  using F = __m512;

  FEWBIT_INLINE W load(const uint8_t* p) {
    W w = _mm512_loadu_si512(p);
    // One load: else g++ 12 makes it the operand of each of the shifts that take fields from it.
    __asm__("" : "+v"(w));
    return w;
  }
  FEWBIT_INLINE W zero() { return _mm512_setzero_si512(); }
  /// Bits Shift.. of every byte, masked.
  template <int Shift, int Mask>
  FEWBIT_INLINE W field(W w) {
    const W shifted = Shift == 0 ? w : _mm512_srli_epi32(w, Shift);
    return _mm512_and_si512(shifted, _mm512_set1_epi8(Mask));
  }
  template <int Shift>
  FEWBIT_INLINE W left(W w) {
    return _mm512_slli_epi32(w, Shift);
  }
  FEWBIT_INLINE W merge(W a, W b) { return _mm512_or_si512(a, b); }
  FEWBIT_INLINE I set(int32_t x) { return _mm512_set1_epi32(x); }
  template <int Bits>
  FEWBIT_INLINE I dp(I sum, W w, const int8_t* x) {
    int32_t four;
    __builtin_memcpy(&four, x, 4);
    return _mm512_dpbusd_epi32(sum, w, _mm512_set1_epi32(four));
  }
  FEWBIT_INLINE F to_float(I x) { return _mm512_cvtepi32_ps(x); }
  FEWBIT_INLINE F splat(float x) { return _mm512_set1_ps(x); }
  FEWBIT_INLINE F load_half(const uint8_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  FEWBIT_INLINE F load_floats(const float* p) {
    return load_float(reinterpret_cast<const uint8_t*>(p));
  }
  FEWBIT_INLINE F load_float(const uint8_t* p) { return _mm512_loadu_ps(p); }
  FEWBIT_INLINE F add_product(F sum, F a, F b) { return _mm512_fmadd_ps(a, b, sum); }
  FEWBIT_INLINE F scale(F x, float s) { return _mm512_mul_ps(x, _mm512_set1_ps(s)); }
  FEWBIT_INLINE F multiply(F a, F b) { return _mm512_mul_ps(a, b); }
  FEWBIT_INLINE F inverse_or_zero(F x) {
    const __mmask16 usable = _mm512_cmp_ps_mask(x, _mm512_set1_ps(0x1p-126F), _CMP_GE_OQ);
    return _mm512_maskz_div_ps(usable, _mm512_set1_ps(1), x);
  }
  FEWBIT_INLINE void store(float* p, F x) { _mm512_storeu_ps(p, x); }

  // Tables.
  using T = __m512;
  FEWBIT_INLINE W byte_table(const uint8_t* levels) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(levels)));
  }
  FEWBIT_INLINE W lookup(W table, W codes) { return _mm512_shuffle_epi8(table, codes); }
  FEWBIT_INLINE T float_table(const float* levels) { return _mm512_loadu_ps(levels); }
  /// Levels of the codes of `Bits` bits at bit Shift of each lane.
  template <int Shift, int Bits>
  FEWBIT_INLINE F permute(T table, W w) {
    return _mm512_permutexvar_ps(Shift == 0 ? w : _mm512_srli_epi32(w, Shift), table);
  }
  /// Signed.
  template <int Byte>
  FEWBIT_INLINE F byte_as_float(W w) {
    const W high = Byte == 3 ? w : _mm512_slli_epi32(w, 24 - 8 * Byte);
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(high, 24));
  }

  // Expansion.
  FEWBIT_INLINE I round(F x) { return _mm512_cvtps_epi32(x); }
  FEWBIT_INLINE I pair_of(I low, I high) {
    return _mm512_or_si512(_mm512_and_si512(low, _mm512_set1_epi32(0xffff)),
                           _mm512_slli_epi32(high, 16));
  }
  /// The Byte-th byte of each lane below the high halves of `high`.
  template <int Byte>
  FEWBIT_INLINE I with_byte(W w, I high) {
    const W shifted = Byte == 0 ? w : _mm512_srli_epi32(w, 8 * Byte);
    constexpr int kMaskedOrOther = 0xea;  // (a & b) | c
    return _mm512_ternarylogic_epi32(shifted, _mm512_set1_epi32(0xff), high, kMaskedOrOther);
  }
  FEWBIT_INLINE I madd(I a, I b) { return _mm512_madd_epi16(a, b); }
  /// Bits Shift .. Shift + 7 as the Byte-th byte, the others 0.
  template <int Byte, int Shift>
  FEWBIT_INLINE W place(I x) {
    constexpr int kLeft = 8 * Byte - Shift;
    const I moved = kLeft >= 0 ? _mm512_slli_epi32(x, kLeft < 0 ? 0 : kLeft)
                               : _mm512_srli_epi32(x, kLeft < 0 ? -kLeft : 0);
    return _mm512_and_si512(moved, _mm512_set1_epi32(static_cast<int>(0xffU << 8 * Byte)));
  }
  FEWBIT_INLINE W add_to_bytes(W w, int add) {
    return _mm512_add_epi8(w, _mm512_set1_epi8(static_cast<char>(add)));
  }
  /// Signed bytes times 16-bit factors (each lane's twice) over 2^(15 - Shift), rounded.
  template <int Shift>
  FEWBIT_INLINE W scale_bytes(W w, I factors) {
    constexpr int kRight = 8 - Shift;
    W even = _mm512_slli_epi16(w, 8);
    W odd = _mm512_and_si512(w, _mm512_set1_epi16(static_cast<int16_t>(0xff00)));
    if constexpr (kRight > 0) {
      even = _mm512_srai_epi16(even, kRight);
      odd = _mm512_srai_epi16(odd, kRight);
    }
    even = _mm512_mulhrs_epi16(even, factors);
    odd = _mm512_slli_epi16(_mm512_mulhrs_epi16(odd, factors), 8);
    constexpr int kMaskedOrOther = 0xea;  // (a & b) | c
    return _mm512_ternarylogic_epi32(even, _mm512_set1_epi16(0xff), odd, kMaskedOrOther);
  }
  FEWBIT_INLINE void store_line(uint8_t* p, W w) { _mm512_storeu_si512(p, w); }

  // Blocks of many rows.
  static constexpr int kBlockRows = 8;
  static constexpr int kBlockPanels = 2;
  FEWBIT_INLINE I load_sums(const int32_t* p) { return _mm512_loadu_si512(p); }
  FEWBIT_INLINE I add(I x, int32_t y) { return _mm512_add_epi32(x, _mm512_set1_epi32(y)); }

  FEWBIT_INLINE void prefetch(const uint8_t* p, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(p + i), _MM_HINT_T0);
    }
  }
};

#undef FEWBIT_INLINE

}  // namespace
}  // namespace fewbit::few_bit
