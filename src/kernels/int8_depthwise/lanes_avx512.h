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
    bool plain;  ///< the whole range of uint8: saturation is all it takes
    explicit FEWBIT_INLINE Narrow(const Stage& s) {
      const int by = s.type == DType::kInt8 ? 128 : 0;
      zero = _mm512_set1_epi16(static_cast<int16_t>(s.zero + by));
      lo = _mm512_set1_epi8(static_cast<char>(s.lo + by));
      hi = _mm512_set1_epi8(static_cast<char>(s.hi + by));
      shift = _mm512_set1_epi8(static_cast<char>(by));
      plain = s.type == DType::kUint8 && s.lo == 0 && s.hi == 255;
    }
    FEWBIT_INLINE H to_16(I x, I y) const {
      return _mm512_adds_epi16(_mm512_packs_epi32(x, y), zero);
    }
    FEWBIT_INLINE B to_8(H x, H y) const {
      const __m512i bytes = _mm512_packus_epi16(x, y);
      if (plain) return bytes;
      return _mm512_xor_si512(_mm512_min_epu8(_mm512_max_epu8(bytes, lo), hi), shift);
    }
  };

  struct Masked16 : Lane16 {
    static FEWBIT_INLINE B load_n(const uint8_t* p, int n) {
      return _mm_maskz_loadu_epi8(static_cast<__mmask16>((1U << n) - 1U), p);
    }
  };
  struct Masked32 : Lane32 {
    static FEWBIT_INLINE B load_n(const uint8_t* p, int n) {
      return _mm256_maskz_loadu_epi8((__mmask32{1} << n) - 1U, p);
    }
  };
  struct Lane64 {
    using B = __m512i;
    static constexpr int kBytes = 64;
    /// Columns of N, `step` bytes apart, side by side.
    template <class N, bool kWhole>
    static FEWBIT_INLINE B gather(const uint8_t* p, int64_t step, int n) {
      const auto column = [&](int64_t i) __attribute__((always_inline)) {
        return kWhole ? N::load(p + i * step) : N::load_n(p + i * step, n);
      };
      if constexpr (N::kBytes == 64) {
        return column(0);
      } else if constexpr (N::kBytes == 32) {
        return _mm512_inserti64x4(_mm512_castsi256_si512(column(0)), column(1), 1);
      } else {
        const __m512i x = _mm512_inserti32x4(_mm512_castsi128_si512(column(0)), column(1), 1);
        return _mm512_inserti32x4(_mm512_inserti32x4(x, column(2), 2), column(3), 3);
      }
    }
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
