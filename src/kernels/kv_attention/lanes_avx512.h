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
  /// 2^(x log2 e) with the exponent taken apart by VREDUCEPS and put back by VSCALEFPS: half the
  /// instructions of exp_nonpositive, as exact for the x that matter (the product's rounding adds
  /// |x| 2^-24).
  FEWBIT_INLINE V::F exp(V::F x) {
    const V::F y = V::mul(x, V::set(0x1.715476p+0F));
    const V::F f = _mm512_reduce_ps(y, 1);  // y - floor(y); 0 for infinity
    // (2^f - 1) / f on [0, 1], 9.4e-8.
    V::F p = V::set(0x1.e974fcp-10F);
    p = V::fma(p, f, V::set(0x1.277854p-7F));
    p = V::fma(p, f, V::set(0x1.c91ce6p-5F));
    p = V::fma(p, f, V::set(0x1.ebdb56p-3F));
    p = V::fma(p, f, V::set(0x1.62e4bap-1F));
    p = V::fma(p, f, V::set(1));
    return _mm512_scalef_ps(p, y);
  }
  FEWBIT_INLINE V::F tanh(V::F x) { return pointwise::avx512::tanh(x); }
  FEWBIT_INLINE float exp_one(float x) { return _mm512_cvtss_f32(exp(V::set(x))); }
  FEWBIT_INLINE void prefetch(const uint8_t* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
  }
};

}  // namespace
}  // namespace fewbit::kv
