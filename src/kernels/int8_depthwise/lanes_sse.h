#pragma once
// Byte vectors of one and two 16-byte lanes for interleaving, in any target with AVX2. Include
// after setting the target.

#include <immintrin.h>

#include <cstdint>

namespace fewbit::int8 {
namespace {

#define FEWBIT_INLINE static inline __attribute__((always_inline))

struct Lane16 {
  using B = __m128i;
  static constexpr int kBytes = 16;
  template <class N, bool kWhole>
  FEWBIT_INLINE B gather(const uint8_t* p, int64_t, int n) {
    return kWhole ? load(p) : load_n(p, n);
  }
  FEWBIT_INLINE B set(uint8_t x) { return _mm_set1_epi8(static_cast<char>(x)); }
  FEWBIT_INLINE B load(const uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  FEWBIT_INLINE B load_n(const uint8_t* p, int n) {
    alignas(16) uint8_t bytes[16] = {};
    for (int i = 0; i < n; ++i) bytes[i] = p[i];
    return load(bytes);
  }
  FEWBIT_INLINE void store(uint8_t* p, B x) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x); }
  FEWBIT_INLINE B flip(B x, B y) { return _mm_xor_si128(x, y); }
  FEWBIT_INLINE B lo8(B x, B y) { return _mm_unpacklo_epi8(x, y); }
  FEWBIT_INLINE B hi8(B x, B y) { return _mm_unpackhi_epi8(x, y); }
  FEWBIT_INLINE B lo16(B x, B y) { return _mm_unpacklo_epi16(x, y); }
  FEWBIT_INLINE B hi16(B x, B y) { return _mm_unpackhi_epi16(x, y); }
};

struct Lane32 {
  using B = __m256i;
  static constexpr int kBytes = 32;
  /// Columns of N, `step` bytes apart, side by side.
  template <class N, bool kWhole>
  FEWBIT_INLINE B gather(const uint8_t* p, int64_t step, int n) {
    if constexpr (N::kBytes == 32) {
      return kWhole ? load(p) : load_n(p, n);
    } else {
      const __m128i x = kWhole ? N::load(p) : N::load_n(p, n);
      const __m128i y = kWhole ? N::load(p + step) : N::load_n(p + step, n);
      return _mm256_inserti128_si256(_mm256_castsi128_si256(x), y, 1);
    }
  }
  FEWBIT_INLINE B set(uint8_t x) { return _mm256_set1_epi8(static_cast<char>(x)); }
  FEWBIT_INLINE B load(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  FEWBIT_INLINE B load_n(const uint8_t* p, int n) {
    alignas(32) uint8_t bytes[32] = {};
    for (int i = 0; i < n; ++i) bytes[i] = p[i];
    return load(bytes);
  }
  FEWBIT_INLINE void store(uint8_t* p, B x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x);
  }
  FEWBIT_INLINE B flip(B x, B y) { return _mm256_xor_si256(x, y); }
  FEWBIT_INLINE B lo8(B x, B y) { return _mm256_unpacklo_epi8(x, y); }
  FEWBIT_INLINE B hi8(B x, B y) { return _mm256_unpackhi_epi8(x, y); }
  FEWBIT_INLINE B lo16(B x, B y) { return _mm256_unpacklo_epi16(x, y); }
  FEWBIT_INLINE B hi16(B x, B y) { return _mm256_unpackhi_epi16(x, y); }
};

#undef FEWBIT_INLINE

}  // namespace
}  // namespace fewbit::int8
