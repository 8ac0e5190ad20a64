#pragma once
// The policy of the row kernels on AVX512-VNNI (see lanes_scalar.h). Include after setting the
// target.

#include "kernels/pointwise/vec/vec_avx512.h"
#define FEWBIT_VARIANT avx512
#include "kernels/pointwise/vec/math.h"
#undef FEWBIT_VARIANT

namespace fewbit::kv {
namespace {

struct Lanes512 {
  using V = pointwise::avx512::V;
  static constexpr int kSums = 24;
  static constexpr int kTileRows = 6;
  static constexpr int kTileColumns = 4;

  template <int Bits>
  FEWBIT_INLINE void dot(V::I& sum, V::I codes, V::I x) {
    // Spelled out: g++ 12 copies the sum around its intrinsic. (An operand of its own: an element
    // of an array would keep that in memory.)
    V::I s = sum;
    __asm__("vpdpbusd %2, %1, %0" : "+v"(s) : "v"(codes), "v"(x));
    sum = s;
  }
  FEWBIT_INLINE V::F exp(V::F x) { return pointwise::avx512::exp_nonpositive(x); }
  FEWBIT_INLINE V::F tanh(V::F x) { return pointwise::avx512::tanh(x); }
  FEWBIT_INLINE float exp_one(float x) { return _mm512_cvtss_f32(exp(V::set(x))); }
  FEWBIT_INLINE void prefetch(const uint8_t* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
  }
};

}  // namespace
}  // namespace fewbit::kv
