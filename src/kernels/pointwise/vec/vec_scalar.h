#pragma once
// The vector type V of one lane: what the wider ones compute, spelled in plain C++.
// Conventions of all three:
// - F holds floats, I int32, M a comparison's result, kLanes elements each.
// - min and max return the SECOND operand if either is NaN (as the x86 instructions do).
// - fma is fused; the others round on their own. to_int rounds to nearest, ties to even.
// - load_n, store_n touch n elements, 0 < n < kLanes; other lanes load as 0.
// - store_narrow keeps the low bits: clamp first.

#include <cmath>
#include <cstdint>
#include <cstring>

#define FEWBIT_INLINE static inline __attribute__((always_inline))

namespace fewbit::pointwise::scalar {

struct V {
  static constexpr int kLanes = 1;
  using F = float;
  using I = int32_t;
  using M = bool;

  FEWBIT_INLINE F load(const float* p) { return *p; }
  FEWBIT_INLINE void store(float* p, F v) { *p = v; }
  FEWBIT_INLINE F load_n(const float*, int) { return 0; }
  FEWBIT_INLINE void store_n(float*, F, int) {}
  FEWBIT_INLINE F set(float x) { return x; }
  FEWBIT_INLINE I set_int(int32_t x) { return x; }

  FEWBIT_INLINE F add(F a, F b) { return a + b; }
  FEWBIT_INLINE F sub(F a, F b) { return a - b; }
  FEWBIT_INLINE F mul(F a, F b) { return a * b; }
  FEWBIT_INLINE F div(F a, F b) { return a / b; }
  FEWBIT_INLINE F fma(F a, F b, F c) { return __builtin_fmaf(a, b, c); }
  FEWBIT_INLINE F min(F a, F b) { return a < b ? a : b; }
  FEWBIT_INLINE F max(F a, F b) { return a > b ? a : b; }
  FEWBIT_INLINE F sqrt(F a) { return __builtin_sqrtf(a); }
  FEWBIT_INLINE F round(F a) { return std::nearbyintf(a); }
  FEWBIT_INLINE F floor(F a) { return std::floor(a); }
  FEWBIT_INLINE F ceil(F a) { return std::ceil(a); }
  FEWBIT_INLINE F abs(F a) { return std::fabs(a); }
  FEWBIT_INLINE F copysign(F magnitude, F sign) { return std::copysign(magnitude, sign); }

  FEWBIT_INLINE M lt(F a, F b) { return a < b; }
  FEWBIT_INLINE M le(F a, F b) { return a <= b; }
  FEWBIT_INLINE M eq(F a, F b) { return a == b; }
  FEWBIT_INLINE M unordered(F a) { return a != a; }
  FEWBIT_INLINE F select(M m, F yes, F no) { return m ? yes : no; }
  FEWBIT_INLINE bool any(M m) { return m; }

  FEWBIT_INLINE I to_int(F a) { return static_cast<int32_t>(std::nearbyintf(a)); }
  FEWBIT_INLINE F to_float(I a) { return static_cast<float>(a); }
  FEWBIT_INLINE I bits(F a) {
    I out;
    std::memcpy(&out, &a, 4);
    return out;
  }
  FEWBIT_INLINE F from_bits(I a) {
    F out;
    std::memcpy(&out, &a, 4);
    return out;
  }
  FEWBIT_INLINE I add_int(I a, I b) { return static_cast<I>(uint32_t(a) + uint32_t(b)); }
  FEWBIT_INLINE I sub_int(I a, I b) { return static_cast<I>(uint32_t(a) - uint32_t(b)); }
  FEWBIT_INLINE I mul_int(I a, I b) { return static_cast<I>(uint32_t(a) * uint32_t(b)); }
  FEWBIT_INLINE I and_int(I a, I b) { return a & b; }
  FEWBIT_INLINE I or_int(I a, I b) { return a | b; }
  template <int kBits>
  FEWBIT_INLINE I shift_left(I a) {
    return static_cast<I>(uint32_t(a) << kBits);
  }
  template <int kBits>
  FEWBIT_INLINE I shift_right(I a) {
    return a >> kBits;
  }
  FEWBIT_INLINE float sum(F a) { return a; }
  FEWBIT_INLINE float largest(F a) { return a; }
  FEWBIT_INLINE float least(F a) { return a; }
  FEWBIT_INLINE int32_t sum_int(I a) { return a; }

  /// T: uint8_t, int8_t, uint16_t, int16_t, int32_t; widened to int32.
  template <typename T>
  FEWBIT_INLINE I load_wide(const T* p) {
    return *p;
  }
  template <typename T>
  FEWBIT_INLINE I load_wide_n(const T*, int) {
    return 0;
  }
  template <typename T>
  FEWBIT_INLINE void store_narrow(T* p, I v) {
    *p = static_cast<T>(v);
  }
  template <typename T>
  FEWBIT_INLINE void store_narrow_n(T*, I, int) {}

  /// Bytes: kByteLanes of them.
  static constexpr int kByteLanes = 1;
  using B = uint8_t;
  FEWBIT_INLINE B load_bytes(const void* p) { return *static_cast<const uint8_t*>(p); }
  FEWBIT_INLINE B load_bytes_n(const void*, int) { return 0; }
  FEWBIT_INLINE void store_bytes(void* p, B v) { *static_cast<uint8_t*>(p) = v; }
  FEWBIT_INLINE void store_bytes_n(void*, B, int) {}
  template <typename T>
  FEWBIT_INLINE B max_bytes(B a, B b) {
    return static_cast<T>(a) > static_cast<T>(b) ? a : b;
  }
};

}  // namespace fewbit::pointwise::scalar
