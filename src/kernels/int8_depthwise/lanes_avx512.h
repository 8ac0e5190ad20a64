#pragma once
// The policy of depthwise_kernel.h on AVX512-VNNI: four lanes. Include after setting the target.

#include <immintrin.h>

#include <cstdint>

#include "kernels/int8_depthwise/depthwise_core.h"
#include "kernels/int8_depthwise/lanes_sse.h"

namespace fewbit::int8 {
namespace {

#define FEWBIT_INLINE inline __attribute__((always_inline))

struct Lanes512 {
  static constexpr int kLanes = 4;
  using I = __m512i;
  using F = __m512;
  using H = __m512i;
  using B = __m512i;

  static FEWBIT_INLINE I load_i(const int32_t* p) { return _mm512_loadu_si512(p); }
  static FEWBIT_INLINE void store_i(int32_t* p, I x) { _mm512_storeu_si512(p, x); }
  static FEWBIT_INLINE F load_f(const float* p) { return _mm512_loadu_ps(p); }
  static FEWBIT_INLINE B load_b(const void* p) { return _mm512_loadu_si512(p); }
  static FEWBIT_INLINE void store_b(uint8_t* p, B x) { _mm512_storeu_si512(p, x); }
  static FEWBIT_INLINE I dp(I sum, B a, B w) { return _mm512_dpbusd_epi32(sum, a, w); }
  static FEWBIT_INLINE I scaled(I acc, F scale, bool may_overflow) {
    F x = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), scale);
    // The largest float below 2^31; larger ones would convert to the smallest integer.
    if (may_overflow) x = _mm512_min_ps(x, _mm512_set1_ps(2147483520.0F));
    return _mm512_cvtps_epi32(x);
  }

  /// The saturating packs clamp to the type; int8 is computed as uint8 shifted by 128.
  struct Narrow {
    __m512i zero, lo, hi, shift;
    explicit FEWBIT_INLINE Narrow(const Stage& s) {
      const int by = s.type == DType::kInt8 ? 128 : 0;
      zero = _mm512_set1_epi16(static_cast<int16_t>(s.zero + by));
      lo = _mm512_set1_epi8(static_cast<char>(s.lo + by));
      hi = _mm512_set1_epi8(static_cast<char>(s.hi + by));
      shift = _mm512_set1_epi8(static_cast<char>(by));
    }
    FEWBIT_INLINE H to_16(I x, I y) const {
      return _mm512_adds_epi16(_mm512_packs_epi32(x, y), zero);
    }
    FEWBIT_INLINE B to_8(H x, H y) const {
      const __m512i bytes = _mm512_packus_epi16(x, y);
      return _mm512_xor_si512(_mm512_min_epu8(_mm512_max_epu8(bytes, lo), hi), shift);
    }
  };

  struct Lane64 {
    using B = __m512i;
    static constexpr int kBytes = 64;
    static FEWBIT_INLINE B set(uint8_t x) { return _mm512_set1_epi8(static_cast<char>(x)); }
    static FEWBIT_INLINE B load(const uint8_t* p) { return _mm512_loadu_si512(p); }
    static FEWBIT_INLINE B load_n(const uint8_t* p, int n) {
      return _mm512_maskz_loadu_epi8((__mmask64{1} << n) - 1U, p);
    }
    static FEWBIT_INLINE void store(uint8_t* p, B x) { _mm512_storeu_si512(p, x); }
    static FEWBIT_INLINE B flip(B x, B y) { return _mm512_xor_si512(x, y); }
    static FEWBIT_INLINE B lo8(B x, B y) { return _mm512_unpacklo_epi8(x, y); }
    static FEWBIT_INLINE B hi8(B x, B y) { return _mm512_unpackhi_epi8(x, y); }
    static FEWBIT_INLINE B lo16(B x, B y) { return _mm512_unpacklo_epi16(x, y); }
    static FEWBIT_INLINE B hi16(B x, B y) { return _mm512_unpackhi_epi16(x, y); }
  };
};

#undef FEWBIT_INLINE

}  // namespace
}  // namespace fewbit::int8
