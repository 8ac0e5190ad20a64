#pragma once
// The vector policy of panel_kernel.h on AVX512-VNNI: sixteen lanes are one register. Include after
// setting the target.

#include <immintrin.h>

#include <cstdint>

namespace fewbit::few_bit {
namespace {

#define FEWBIT_INLINE static inline __attribute__((always_inline))

struct VecAvx512 {
  using W = __m512i;  // sixteen times four codes
  using I = __m512i;
  using F = __m512;

  FEWBIT_INLINE W load(const uint8_t* p) { return _mm512_loadu_si512(p); }
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
  FEWBIT_INLINE F load_float(const uint8_t* p) { return _mm512_loadu_ps(p); }
  FEWBIT_INLINE F add_product(F sum, F a, F b) { return _mm512_fmadd_ps(a, b, sum); }
  FEWBIT_INLINE F scale(F x, float s) { return _mm512_mul_ps(x, _mm512_set1_ps(s)); }
  FEWBIT_INLINE void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  FEWBIT_INLINE void prefetch(const uint8_t* p, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(p + i), _MM_HINT_T0);
    }
  }
};

#undef FEWBIT_INLINE

}  // namespace
}  // namespace fewbit::few_bit
