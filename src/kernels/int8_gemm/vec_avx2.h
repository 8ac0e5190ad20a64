#pragma once
// The vector policies of tile_kernel.h on 256 bits: sixteen lanes are two registers. AVX-VNNI has
// the dot product; AVX2 alone has no exact one for full-range bytes (VPMADDUBSW saturates at 16
// bits), so even and odd bytes are widened and go through VPMADDWD. Include after setting the
// target.

#include <immintrin.h>

#include <cstdint>

#include "kernels/int8_gemm/int8_core.h"

namespace fewbit::int8 {
namespace {

#define FEWBIT_INLINE static inline __attribute__((always_inline))

/// Everything but the dot product.
struct Vec256 {
  struct I {
    __m256i x, y;
  };
  struct F {
    __m256 x, y;
  };

  FEWBIT_INLINE __m256i load256(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
  FEWBIT_INLINE void store256(void* p, __m256i v) {
    _mm256_storeu_si256(static_cast<__m256i*>(p), v);
  }
  FEWBIT_INLINE __m256i broadcast4(const uint8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, 4);
    return _mm256_set1_epi32(four);
  }
  FEWBIT_INLINE I load_i(const int32_t* p) { return {load256(p), load256(p + 8)}; }
  FEWBIT_INLINE void store_i(int32_t* p, I v) {
    store256(p, v.x);
    store256(p + 8, v.y);
  }
  FEWBIT_INLINE I set_i(int32_t v) { return {_mm256_set1_epi32(v), _mm256_set1_epi32(v)}; }
  FEWBIT_INLINE I add_i(I a, I b) {
    return {_mm256_add_epi32(a.x, b.x), _mm256_add_epi32(a.y, b.y)};
  }
  FEWBIT_INLINE I sub_i(I a, I b) {
    return {_mm256_sub_epi32(a.x, b.x), _mm256_sub_epi32(a.y, b.y)};
  }
  FEWBIT_INLINE I mul_i(I a, I b) {
    return {_mm256_mullo_epi32(a.x, b.x), _mm256_mullo_epi32(a.y, b.y)};
  }
  FEWBIT_INLINE F load_f(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  FEWBIT_INLINE F set_f(float v) { return {_mm256_set1_ps(v), _mm256_set1_ps(v)}; }
  FEWBIT_INLINE F to_f(I v) { return {_mm256_cvtepi32_ps(v.x), _mm256_cvtepi32_ps(v.y)}; }
  FEWBIT_INLINE I round(F v) { return {_mm256_cvtps_epi32(v.x), _mm256_cvtps_epi32(v.y)}; }
  FEWBIT_INLINE F mul(F a, F b) { return {_mm256_mul_ps(a.x, b.x), _mm256_mul_ps(a.y, b.y)}; }
  FEWBIT_INLINE F add(F a, F b) { return {_mm256_add_ps(a.x, b.x), _mm256_add_ps(a.y, b.y)}; }
  FEWBIT_INLINE F fma(F a, F b, F c) {
    return {_mm256_fmadd_ps(a.x, b.x, c.x), _mm256_fmadd_ps(a.y, b.y, c.y)};
  }
  FEWBIT_INLINE F min(F a, F b) { return {_mm256_min_ps(a.x, b.x), _mm256_min_ps(a.y, b.y)}; }
  FEWBIT_INLINE F max(F a, F b) { return {_mm256_max_ps(a.x, b.x), _mm256_max_ps(a.y, b.y)}; }

  FEWBIT_INLINE void store_i_n(int32_t* p, I v, int n) {
    if (n == 16) return store_i(p, v);
    alignas(32) int32_t lanes[16];
    store_i(lanes, v);
    for (int i = 0; i < n; ++i) p[i] = lanes[i];
  }
  FEWBIT_INLINE void store_f_n(float* p, F v, int n) {
    if (n == 16) {
      _mm256_storeu_ps(p, v.x);
      _mm256_storeu_ps(p + 8, v.y);
      return;
    }
    alignas(32) float lanes[16];
    _mm256_store_ps(lanes, v.x);
    _mm256_store_ps(lanes + 8, v.y);
    for (int i = 0; i < n; ++i) p[i] = lanes[i];
  }
  // Lanes hold values of -128 .. 255, so that saturation to int16 loses nothing and the low bytes
  // survive the mask.
  FEWBIT_INLINE void store_low_bytes_n(uint8_t* p, I v, int n) {
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(v.x, v.y), 0xD8);
    const __m256i low = _mm256_and_si256(words, _mm256_set1_epi16(0xFF));
    const __m128i bytes =
        _mm_packus_epi16(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
    if (n == 16) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
      return;
    }
    alignas(16) uint8_t lanes[16];
    _mm_store_si128(reinterpret_cast<__m128i*>(lanes), bytes);
    for (int i = 0; i < n; ++i) p[i] = lanes[i];
  }
  FEWBIT_INLINE __m128i load_bytes_n(const uint8_t* p, int n) {
    if (n == 16) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    alignas(16) uint8_t lanes[16] = {};
    for (int i = 0; i < n; ++i) lanes[i] = p[i];
    return _mm_load_si128(reinterpret_cast<const __m128i*>(lanes));
  }
  FEWBIT_INLINE I load_u8_n(const uint8_t* p, int n) {
    const __m128i b = load_bytes_n(p, n);
    return {_mm256_cvtepu8_epi32(b), _mm256_cvtepu8_epi32(_mm_srli_si128(b, 8))};
  }
  FEWBIT_INLINE I load_s8_n(const uint8_t* p, int n) {
    const __m128i b = load_bytes_n(p, n);
    return {_mm256_cvtepi8_epi32(b), _mm256_cvtepi8_epi32(_mm_srli_si128(b, 8))};
  }

  /// Requantizes straight from the registers in the commonest case: 8 bits, no residual, table or
  /// per-row correction, whole panels. The saturating packs clamp to the type; int8 is computed as
  /// uint8 shifted by 128.
  template <int R, int P>
  FEWBIT_INLINE bool store_fused(const I (&sum)[R][P], const FinishArgs& f) {
    const Stage& s = *f.stage;
    const bool plain = (s.type == DType::kUint8 || s.type == DType::kInt8) && !s.add &&
                       s.lut == nullptr && f.row_zero == nullptr && f.row_sum == nullptr &&
                       !s.may_overflow && P == 1 && f.cols == kPanelCols;
    if (!plain) return false;
    const int shift = s.type == DType::kInt8 ? 128 : 0;
    const __m256i zero = _mm256_set1_epi16(static_cast<int16_t>(s.zero + shift));
    const __m128i lo = _mm_set1_epi8(static_cast<char>(s.lo + shift));
    const __m128i hi = _mm_set1_epi8(static_cast<char>(s.hi + shift));
    const __m128i flip = _mm_set1_epi8(static_cast<char>(shift));
    const F scale = load_f(s.scale + f.column);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const I q = round(mul(to_f(sum[r][0]), scale));
      const __m256i words =
          _mm256_permute4x64_epi64(_mm256_adds_epi16(_mm256_packs_epi32(q.x, q.y), zero), 0xD8);
      const __m128i bytes =
          _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(f.out + r * f.out_stride),
                       _mm_xor_si128(_mm_min_epu8(_mm_max_epu8(bytes, lo), hi), flip));
    }
    return true;
  }
};

#if defined(FEWBIT_TARGET_AVX_VNNI)
struct VecAvxVnni : Vec256 {
  using W = I;
  using A = __m256i;
  FEWBIT_INLINE W load_w(const int8_t* p) { return {load256(p), load256(p + 32)}; }
  FEWBIT_INLINE A load_a(const uint8_t* p) { return broadcast4(p); }
  FEWBIT_INLINE I dp(I sum, A a, W w) {
    return {_mm256_dpbusd_avx_epi32(sum.x, a, w.x), _mm256_dpbusd_avx_epi32(sum.y, a, w.y)};
  }
};
#endif

struct VecAvx2 : Vec256 {
  /// Even and odd bytes as int16: of 16 columns, and of four k in every lane.
  struct W {
    I even, odd;
  };
  struct A {
    __m256i even, odd;
  };
  FEWBIT_INLINE __m256i even_signed(__m256i v) {
    return _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8);
  }
  FEWBIT_INLINE W load_w(const int8_t* p) {
    const __m256i x = load256(p), y = load256(p + 32);
    return {{even_signed(x), even_signed(y)}, {_mm256_srai_epi16(x, 8), _mm256_srai_epi16(y, 8)}};
  }
  FEWBIT_INLINE A load_a(const uint8_t* p) {
    const __m256i v = broadcast4(p);
    return {_mm256_and_si256(v, _mm256_set1_epi16(0xFF)), _mm256_srli_epi16(v, 8)};
  }
  FEWBIT_INLINE I dp(I sum, A a, W w) {
    const I even = {_mm256_madd_epi16(a.even, w.even.x), _mm256_madd_epi16(a.even, w.even.y)};
    const I odd = {_mm256_madd_epi16(a.odd, w.odd.x), _mm256_madd_epi16(a.odd, w.odd.y)};
    return add_i(sum, add_i(even, odd));
  }
};

#undef FEWBIT_INLINE

}  // namespace
}  // namespace fewbit::int8
