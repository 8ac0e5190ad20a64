#pragma once
// The vector policy of tile_kernel.h on AVX512-VNNI: sixteen lanes are one register. Include after
// setting the target.

#include <immintrin.h>

#include <cstdint>

#include "kernels/int8_gemm/int8_core.h"

namespace fewbit::int8 {
namespace {

// In tile_kernel.h, which is included after its policies.
template <class V>
inline __attribute__((always_inline)) typename V::I add_residual(typename V::I q,
                                                                 typename V::I residual,
                                                                 const Stage& s);

#define FEWBIT_INLINE static inline __attribute__((always_inline))

struct VecAvx512 {
  using I = __m512i;
  using F = __m512;
  using W = __m512i;
  using A = __m512i;

  FEWBIT_INLINE I load_i(const int32_t* p) { return _mm512_loadu_si512(p); }
  FEWBIT_INLINE void store_i(int32_t* p, I v) { _mm512_storeu_si512(p, v); }
  FEWBIT_INLINE I set_i(int32_t x) { return _mm512_set1_epi32(x); }
  FEWBIT_INLINE I add_i(I x, I y) { return _mm512_add_epi32(x, y); }
  FEWBIT_INLINE I sub_i(I x, I y) { return _mm512_sub_epi32(x, y); }
  FEWBIT_INLINE I mul_i(I x, I y) { return _mm512_mullo_epi32(x, y); }
  FEWBIT_INLINE W load_w(const int8_t* p) { return _mm512_load_si512(p); }
  FEWBIT_INLINE A load_a(const uint8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, 4);
    return _mm512_set1_epi32(four);
  }
  FEWBIT_INLINE I dp(I sum, A a, W w) { return _mm512_dpbusd_epi32(sum, a, w); }
  FEWBIT_INLINE F load_f(const float* p) { return _mm512_loadu_ps(p); }
  FEWBIT_INLINE F set_f(float x) { return _mm512_set1_ps(x); }
  FEWBIT_INLINE F to_f(I x) { return _mm512_cvtepi32_ps(x); }
  FEWBIT_INLINE I round(F x) { return _mm512_cvtps_epi32(x); }
  FEWBIT_INLINE F mul(F x, F y) { return _mm512_mul_ps(x, y); }
  FEWBIT_INLINE F add(F x, F y) { return _mm512_add_ps(x, y); }
  FEWBIT_INLINE F fma(F x, F y, F z) { return _mm512_fmadd_ps(x, y, z); }
  FEWBIT_INLINE F min(F x, F y) { return _mm512_min_ps(x, y); }
  FEWBIT_INLINE F max(F x, F y) { return _mm512_max_ps(x, y); }

  FEWBIT_INLINE __mmask16 first(int n) { return static_cast<__mmask16>((1U << n) - 1U); }
  FEWBIT_INLINE void store_i_n(int32_t* p, I v, int n) { _mm512_mask_storeu_epi32(p, first(n), v); }
  FEWBIT_INLINE void store_f_n(float* p, F v, int n) { _mm512_mask_storeu_ps(p, first(n), v); }
  FEWBIT_INLINE void store_low_bytes_n(uint8_t* p, I v, int n) {
    _mm_mask_storeu_epi8(p, first(n), _mm512_cvtepi32_epi8(v));
  }
  FEWBIT_INLINE I load_u8_n(const uint8_t* p, int n) {
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first(n), p));
  }
  FEWBIT_INLINE I load_s8_n(const uint8_t* p, int n) {
    return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(first(n), p));
  }

  /// Requantizes straight from the registers in the commonest case: 8 bits, no residual, table or
  /// per-row correction. Four registers of sums narrow to one of bytes: saturating packs work
  /// inside 128-bit lanes, and one permutation of 32-bit groups puts the lanes back in order.
  /// Saturation also does the clamping to the type; int8 is computed as uint8 shifted by 128.
  template <int R, int P>
  FEWBIT_INLINE bool store_fused(const I (&sum)[R][P], const FinishArgs& f) {
    const Stage& s = *f.stage;
    const bool plain = (s.type == DType::kUint8 || s.type == DType::kInt8) && !s.add &&
                       s.lut == nullptr && f.row_zero == nullptr && f.row_sum == nullptr;
    if (!plain) return false;
    const Narrow narrow(s);
    F scale[P];
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) scale[p] = load_f(s.scale + f.column + p * kPanelCols);
    constexpr int kRowsAtOnce = 4 / P;
#pragma GCC unroll 16
    for (int r = 0; r < R; r += kRowsAtOnce) {
      I q[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const int row = r + i / P < R ? r + i / P : R - 1;
        q[i] = narrow.scaled(sum[row][i % P], scale[i % P], s.may_overflow);
      }
      store_rows<P>(f.out + r * f.out_stride, f.out_stride, narrow.pack(q), R - r, columns(f));
    }
    return true;
  }

  /// The same for sums in memory, kTileCols apart, with or without a residual: AMX leaves them
  /// there. False if the results are not 8 bits wide or need correction by row.
  template <int P>
  FEWBIT_INLINE bool store_fused(const int32_t* acc, int rows, const FinishArgs& f) {
    const Stage& s = *f.stage;
    const bool narrow_type = s.type == DType::kUint8 || s.type == DType::kInt8;
    if (!narrow_type || f.row_zero != nullptr || f.row_sum != nullptr) return false;
    const Narrow narrow(s);
    F scale[P];
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) scale[p] = load_f(s.scale + f.column + p * kPanelCols);
    constexpr int kRowsAtOnce = 4 / P;
    for (int r = 0; r < rows; r += kRowsAtOnce) {
      I q[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const int row = r + i / P < rows ? r + i / P : rows - 1;  // the sums may end there
        const I sum = load_i(acc + row * kTileCols + i % P * kPanelCols);
        q[i] = narrow.scaled(sum, scale[i % P], s.may_overflow);
      }
      I bytes = narrow.pack(q);
      if (s.add) bytes = narrow.add(bytes, load_rows<P>(f, r, rows), s);
      store_rows<P>(f.out + r * f.out_stride, f.out_stride, bytes, rows - r, columns(f));
    }
    return true;
  }

  FEWBIT_INLINE __mmask32 columns(const FinishArgs& f) {
    return f.cols >= 32 ? ~__mmask32{0} : (__mmask32{1} << f.cols) - 1U;
  }

  /// Stores 4 / P rows of bytes, as many of them as exist.
  template <int P>
  FEWBIT_INLINE void store_rows(uint8_t* out, int64_t stride, I bytes, int rows, __mmask32 mask) {
    if constexpr (P == 2) {
      _mm256_mask_storeu_epi8(out, mask, _mm512_castsi512_si256(bytes));
      if (rows > 1) {
        _mm256_mask_storeu_epi8(out + stride, mask, _mm512_extracti64x4_epi64(bytes, 1));
      }
    } else {
      const auto mask16 = static_cast<__mmask16>(mask);
      _mm_mask_storeu_epi8(out, mask16, _mm512_castsi512_si128(bytes));
      out += stride;
      if (rows > 1) _mm_mask_storeu_epi8(out, mask16, _mm512_extracti32x4_epi32(bytes, 1));
      out += stride;
      if (rows > 2) _mm_mask_storeu_epi8(out, mask16, _mm512_extracti32x4_epi32(bytes, 2));
      out += stride;
      if (rows > 3) _mm_mask_storeu_epi8(out, mask16, _mm512_extracti32x4_epi32(bytes, 3));
    }
  }

  /// Loads the same bytes of the residual.
  template <int P>
  FEWBIT_INLINE I load_rows(const FinishArgs& f, int r, int rows) {
    const __mmask32 mask = columns(f);
    const auto from = [&](int i) {
      return f.residual + (r + i < rows ? r + i : rows - 1) * f.residual_stride;
    };
    if constexpr (P == 2) {
      const __m512i low = _mm512_castsi256_si512(_mm256_maskz_loadu_epi8(mask, from(0)));
      return _mm512_inserti64x4(low, _mm256_maskz_loadu_epi8(mask, from(1)), 1);
    } else {
      const auto mask16 = static_cast<__mmask16>(mask);
      I out = _mm512_castsi128_si512(_mm_maskz_loadu_epi8(mask16, from(0)));
      out = _mm512_inserti32x4(out, _mm_maskz_loadu_epi8(mask16, from(1)), 1);
      out = _mm512_inserti32x4(out, _mm_maskz_loadu_epi8(mask16, from(2)), 2);
      return _mm512_inserti32x4(out, _mm_maskz_loadu_epi8(mask16, from(3)), 3);
    }
  }

  struct Narrow {
    I zero, lo, hi, flip, order;
    bool plain;  ///< the whole range of uint8: saturation is all it takes
    explicit inline __attribute__((always_inline)) Narrow(const Stage& s) {
      const int shift = s.type == DType::kInt8 ? 128 : 0;
      zero = _mm512_set1_epi16(static_cast<int16_t>(s.zero + shift));
      lo = _mm512_set1_epi8(static_cast<char>(s.lo + shift));
      hi = _mm512_set1_epi8(static_cast<char>(s.hi + shift));
      flip = _mm512_set1_epi8(static_cast<char>(shift));
      order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
      plain = s.type == DType::kUint8 && s.lo == 0 && s.hi == 255;
    }
    inline __attribute__((always_inline)) I scaled(I acc, F scale, bool may_overflow) const {
      F x = mul(to_f(acc), scale);
      // The largest float below 2^31; larger ones would convert to the smallest integer.
      if (may_overflow) x = min(x, set_f(2147483520.0F));
      return round(x);
    }
    inline __attribute__((always_inline)) I pack(const I (&q)[4]) const {
      const I first_two = _mm512_adds_epi16(_mm512_packs_epi32(q[0], q[1]), zero);
      const I last_two = _mm512_adds_epi16(_mm512_packs_epi32(q[2], q[3]), zero);
      const I bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(first_two, last_two));
      if (plain) return bytes;
      return _mm512_xor_si512(_mm512_min_epu8(_mm512_max_epu8(bytes, lo), hi), flip);
    }
    /// add_residual of tile_kernel.h on 64 bytes of product and as many of residual.
    inline __attribute__((always_inline)) I add(I product, I residual, const Stage& s) const {
      const bool is_signed = s.type == DType::kInt8;
      I q[4];
      const __m128i x[4] = {_mm512_castsi512_si128(product), _mm512_extracti32x4_epi32(product, 1),
                            _mm512_extracti32x4_epi32(product, 2),
                            _mm512_extracti32x4_epi32(product, 3)};
      const __m128i y[4] = {
          _mm512_castsi512_si128(residual), _mm512_extracti32x4_epi32(residual, 1),
          _mm512_extracti32x4_epi32(residual, 2), _mm512_extracti32x4_epi32(residual, 3)};
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        q[i] = is_signed ? add_residual<VecAvx512>(_mm512_cvtepi8_epi32(x[i]),
                                                   _mm512_cvtepi8_epi32(y[i]), s)
                         : add_residual<VecAvx512>(_mm512_cvtepu8_epi32(x[i]),
                                                   _mm512_cvtepu8_epi32(y[i]), s);
      }
      const I first_two = _mm512_packs_epi32(q[0], q[1]), last_two = _mm512_packs_epi32(q[2], q[3]);
      return _mm512_permutexvar_epi32(order, is_signed ? _mm512_packs_epi16(first_two, last_two)
                                                       : _mm512_packus_epi16(first_two, last_two));
    }
  };
};

#undef FEWBIT_INLINE

}  // namespace
}  // namespace fewbit::int8
