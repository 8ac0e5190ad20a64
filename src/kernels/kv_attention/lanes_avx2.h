#pragma once
// The policy of the row kernels on 256 bits (see lanes_scalar.h). AVX2 multiplies unsigned bytes
// with signed ones into pairs of 16 bits: codes of 4 bits fit, bytes are taken in two halves.
// AVX-VNNI has VPDPBUSD; FEWBIT_HAS_VNNI says so. Include after setting the target.

#include "kernels/pointwise/vec/vec_avx2.h"
#define FEWBIT_VARIANT avx2
#include "kernels/pointwise/vec/math.h"
#undef FEWBIT_VARIANT

namespace fewbit::kv {
namespace {

struct Lanes256 {
  using V = pointwise::avx2::V;
  static constexpr int kSums = 8;
  static constexpr int kTileRows = 6;
  static constexpr int kTileColumns = 2;

  template <int Bits>
  FEWBIT_INLINE void dot(V::I& sum, V::I codes, V::I x) {
#if defined(FEWBIT_HAS_VNNI)
    sum = _mm256_dpbusd_avx_epi32(sum, codes, x);
#else
    const __m256i ones = _mm256_set1_epi16(1);
    if constexpr (Bits == 4) {
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(codes, x), ones));
    } else {
      const __m256i mask = _mm256_set1_epi8(0x0f);
      const __m256i low = _mm256_and_si256(codes, mask);
      const __m256i high = _mm256_and_si256(_mm256_srli_epi32(codes, 4), mask);
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(low, x), ones));
      sum = _mm256_add_epi32(
          sum, _mm256_madd_epi16(_mm256_maddubs_epi16(high, x), _mm256_set1_epi16(16)));
    }
#endif
  }
  FEWBIT_INLINE V::F exp(V::F x) {
    return pointwise::avx2::exp_nonpositive(x);
  }
  FEWBIT_INLINE V::F tanh(V::F x) {
    return pointwise::avx2::tanh(x);
  }
  FEWBIT_INLINE float exp_one(float x) {
    return _mm256_cvtss_f32(exp(V::set(x)));
  }
  FEWBIT_INLINE void prefetch(const uint8_t* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
  }
};

}  // namespace
}  // namespace fewbit::kv
