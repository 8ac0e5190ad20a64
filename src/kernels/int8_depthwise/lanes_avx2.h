#pragma once
// The policies of depthwise_kernel.h on 256 bits: two lanes, with AVX-VNNI's dot product or, on
// AVX2 alone, exact widening to 16 bits. Include after setting the target.

#include <immintrin.h>

#include <cstdint>

#include "kernels/int8_depthwise/depthwise_core.h"
#include "kernels/int8_depthwise/lanes_sse.h"

namespace fewbit::int8 {
namespace {

#define FEWBIT_INLINE inline __attribute__((always_inline))

/// Everything but the dot product.
struct Lanes256 {
  static constexpr int kLanes = 2;
  using I = __m256i;
  using F = __m256;
  using H = __m256i;
  using B = __m256i;

  static FEWBIT_INLINE B load_b(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
  static FEWBIT_INLINE void store_b(uint8_t* p, B x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x);
  }
  static FEWBIT_INLINE I load_i(const int32_t* p) { return load_b(p); }
  static FEWBIT_INLINE void store_i(int32_t* p, I x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x);
  }
  static FEWBIT_INLINE F load_f(const float* p) { return _mm256_loadu_ps(p); }
  static FEWBIT_INLINE I scaled(I acc, F scale, bool may_overflow) {
    F x = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), scale);
    // The largest float below 2^31; larger ones would convert to the smallest integer.
    if (may_overflow) x = _mm256_min_ps(x, _mm256_set1_ps(2147483520.0F));
    return _mm256_cvtps_epi32(x);
  }

  /// The saturating packs clamp to the type; int8 is computed as uint8 shifted by 128.
  struct Narrow {
    __m256i zero, lo, hi, shift;
    explicit FEWBIT_INLINE Narrow(const Stage& s) {
      const int by = s.type == DType::kInt8 ? 128 : 0;
      zero = _mm256_set1_epi16(static_cast<int16_t>(s.zero + by));
      lo = _mm256_set1_epi8(static_cast<char>(s.lo + by));
      hi = _mm256_set1_epi8(static_cast<char>(s.hi + by));
      shift = _mm256_set1_epi8(static_cast<char>(by));
    }
    FEWBIT_INLINE H to_16(I x, I y) const {
      return _mm256_adds_epi16(_mm256_packs_epi32(x, y), zero);
    }
    FEWBIT_INLINE B to_8(H x, H y) const {
      const __m256i bytes = _mm256_packus_epi16(x, y);
      return _mm256_xor_si256(_mm256_min_epu8(_mm256_max_epu8(bytes, lo), hi), shift);
    }
  };
};

#if defined(FEWBIT_TARGET_AVX_VNNI)
struct LanesAvxVnni : Lanes256 {
  static FEWBIT_INLINE I dp(I sum, B a, B w) { return _mm256_dpbusd_avx_epi32(sum, a, w); }
};
#endif

struct LanesAvx2 : Lanes256 {
  static FEWBIT_INLINE I dp(I sum, B a, B w) {
    const __m256i a_even = _mm256_and_si256(a, _mm256_set1_epi16(0xFF));
    const __m256i w_even = _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8);
    const __m256i even = _mm256_madd_epi16(a_even, w_even);
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(a, 8), _mm256_srai_epi16(w, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
  }
};

#undef FEWBIT_INLINE

}  // namespace
}  // namespace fewbit::int8
