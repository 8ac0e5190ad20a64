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
