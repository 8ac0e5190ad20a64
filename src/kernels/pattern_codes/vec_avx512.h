#pragma once
// The vector policy of panel_kernel.h on AVX512-VNNI: sixteen lanes are one register. Include after
// setting the target.

#include <immintrin.h>

#include <cstdint>

#include "kernels/pattern_codes/pattern_core.h"

namespace fewbit::pattern_codes {
namespace {

#define FEWBIT_INLINE static inline __attribute__((always_inline))

struct VecAvx512 {
  using W = __m512i;  // sixteen dwords of codes, or of patterns
  using I = __m512i;
  using F = __m512;
  struct Table {
    __m512i low, high;
  };

  FEWBIT_INLINE Table load_table(const PatternTable& table) {
    return {_mm512_loadu_si512(table.data()), _mm512_loadu_si512(table.data() + 16)};
  }
  FEWBIT_INLINE W load(const uint8_t* p) {
    W w = _mm512_loadu_si512(p);
    // g++ would load it again for each of the six shifts.
    asm("" : "+v"(w));
    return w;
  }
  template <int Shift>
  FEWBIT_INLINE W right(W w) {
    return Shift == 0 ? w : _mm512_srli_epi32(w, Shift);
  }
  /// a | (b & Mask), in one instruction.
  template <int Mask>
  FEWBIT_INLINE W insert(W a, W b) {
    return _mm512_ternarylogic_epi32(a, b, _mm512_set1_epi32(Mask), 0xf8);
  }
  /// The patterns of the codes in the low 5 bits of each lane.
  FEWBIT_INLINE W look_up(const Table& table, W codes) {
    return _mm512_permutex2var_epi32(table.low, codes, table.high);
  }
  FEWBIT_INLINE I set(int32_t x) { return _mm512_set1_epi32(x); }
  /// sum + the products of four bytes of each lane with the four bytes at x.
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
  FEWBIT_INLINE void prefetch(const uint8_t* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
  }
};

#undef FEWBIT_INLINE

}  // namespace
}  // namespace fewbit::pattern_codes
