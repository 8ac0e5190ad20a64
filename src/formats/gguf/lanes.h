#pragma once
// kLanes blocks side by side: lane k of a vector belongs to block k, so a sum over a block's
// elements is a sum of vectors in the order of the elements. Whatever the width, each block sees
// the same operations in the same order and gives the same bits.
//
// This header and those of this folder that include it are compiled once per instruction set
// (block_codecs_*.cpp), each time with its own FEWBIT_GGUF_LANES and into an anonymous namespace.
// FEWBIT_GGUF_AVX2 says that AVX2's own instructions may be named.

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cmath>
#include <cstdint>

#ifndef FEWBIT_GGUF_LANES
#error "only the files of one instruction set, block_codecs_*.cpp, may include this"
#endif

namespace fewbit::formats::gguf {
namespace {

constexpr int kLanes = FEWBIT_GGUF_LANES;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using LaneMask = int32_t __attribute__((vector_size(kLanes * sizeof(int32_t))));

inline Lanes splat(float value) {
  Lanes all = {};
  for (int k = 0; k < kLanes; ++k) all[k] = value;
  return all;
}
inline Lanes pick(LaneMask mask, Lanes yes, Lanes no) {
  return mask ? yes : no;
}
// a < b ? a : b and a > b ? a : b, for which g++ 12 does not find the instruction.
#if defined(FEWBIT_GGUF_AVX2)
inline Lanes smaller(Lanes a, Lanes b) {
  return _mm256_min_ps(a, b);
}
inline Lanes larger(Lanes a, Lanes b) {
  return _mm256_max_ps(a, b);
}
#elif defined(__SSE2__) && FEWBIT_GGUF_LANES == 4
inline Lanes smaller(Lanes a, Lanes b) {
  return _mm_min_ps(a, b);
}
inline Lanes larger(Lanes a, Lanes b) {
  return _mm_max_ps(a, b);
}
#else
inline Lanes smaller(Lanes a, Lanes b) {
  return a < b ? a : b;
}
inline Lanes larger(Lanes a, Lanes b) {
  return a > b ? a : b;
}
#endif
inline Lanes clamp(Lanes v, float low, float high) {
  return smaller(larger(v, splat(low)), splat(high));
}
inline Lanes magnitude(Lanes v) {
  return (Lanes)((LaneMask)v & 0x7fffffff);
}
inline bool any(LaneMask mask) {
  bool found = false;
  for (int k = 0; k < kLanes; ++k) found |= mask[k] != 0;
  return found;
}
inline Lanes square_root(Lanes v) {
  for (int k = 0; k < kLanes; ++k) v[k] = std::sqrt(v[k]);
  return v;
}

/// 1.5 * 2^23: adding it leaves the integer nearest to a value (ties to even) in the low bits.
constexpr float kRounder = 12582912.0F;

/// The nearest integer, ties to even; for |v| below 2^22.
inline Lanes nearest(Lanes v) {
  return (v + kRounder) - kRounder;
}

/// The same modulo 2^23, in [-2^22, 2^22), for any v: what the low bits say. NaN gives 0.
inline Lanes nearest_low_bits(Lanes v) {
  const LaneMask bits = (LaneMask)(v + kRounder);
  return __builtin_convertvector((bits & 0x007fffff) - 0x00400000, Lanes);
}

/// nearest_low_bits of one value.
inline int nearest_low_bits(float v) {
  const float sum = v + kRounder;
  return static_cast<int>(__builtin_bit_cast(uint32_t, sum) & 0x007fffff) - 0x00400000;
}

/// 1 / v, and 0 for 0.
inline Lanes inverse_or_zero(Lanes v) {
  return pick(v != 0, 1.0F / pick(v != 0, v, splat(1)), splat(0));
}

/// kLanes runs of N values -> N vectors.
template <int N>
void to_lanes(const float* runs, Lanes* out) {
  for (int i = 0; i < N; ++i) {
    for (int k = 0; k < kLanes; ++k) out[i][k] = runs[k * N + i];
  }
}

/// N vectors of small integers -> kLanes runs of N codes, each plus `zero`.
template <int N>
void from_lanes(const Lanes* values, float zero, uint8_t* runs) {
  for (int i = 0; i < N; ++i) {
    const LaneMask codes = __builtin_convertvector(values[i] + zero, LaneMask);
    for (int k = 0; k < kLanes; ++k) runs[k * N + i] = static_cast<uint8_t>(codes[k]);
  }
}

}  // namespace
}  // namespace fewbit::formats::gguf
