#pragma once
// V on AVX2 and FMA; see vec_scalar.h for the conventions. Include after setting the target.

namespace fewbit::pointwise::avx2 {

struct V {
  static constexpr int kLanes = 8;
  using F = __m256;
  using I = __m256i;
  using M = __m256;

  FEWBIT_INLINE I first(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  FEWBIT_INLINE F load(const float* p) { return _mm256_loadu_ps(p); }
  FEWBIT_INLINE void store(float* p, F v) { _mm256_storeu_ps(p, v); }
  FEWBIT_INLINE F load_n(const float* p, int n) { return _mm256_maskload_ps(p, first(n)); }
  FEWBIT_INLINE void store_n(float* p, F v, int n) { _mm256_maskstore_ps(p, first(n), v); }
  FEWBIT_INLINE F set(float x) { return _mm256_set1_ps(x); }
  FEWBIT_INLINE I set_int(int32_t x) { return _mm256_set1_epi32(x); }

  FEWBIT_INLINE F add(F a, F b) { return _mm256_add_ps(a, b); }
  FEWBIT_INLINE F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  FEWBIT_INLINE F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  FEWBIT_INLINE F div(F a, F b) { return _mm256_div_ps(a, b); }
  FEWBIT_INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  FEWBIT_INLINE F min(F a, F b) { return _mm256_min_ps(a, b); }
  FEWBIT_INLINE F max(F a, F b) { return _mm256_max_ps(a, b); }
  FEWBIT_INLINE F sqrt(F a) { return _mm256_sqrt_ps(a); }
  FEWBIT_INLINE F round(F a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  FEWBIT_INLINE F floor(F a) { return _mm256_floor_ps(a); }
  FEWBIT_INLINE F ceil(F a) { return _mm256_ceil_ps(a); }
  FEWBIT_INLINE F abs(F a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
  FEWBIT_INLINE F copysign(F magnitude, F sign) {
    const F mask = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(mask, magnitude), _mm256_and_ps(mask, sign));
  }

  FEWBIT_INLINE M lt(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
  FEWBIT_INLINE M le(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
  FEWBIT_INLINE M eq(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
  FEWBIT_INLINE M unordered(F a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
  FEWBIT_INLINE F select(M m, F yes, F no) { return _mm256_blendv_ps(no, yes, m); }
  FEWBIT_INLINE bool any(M m) { return _mm256_movemask_ps(m) != 0; }

  FEWBIT_INLINE I to_int(F a) { return _mm256_cvtps_epi32(a); }
  FEWBIT_INLINE F to_float(I a) { return _mm256_cvtepi32_ps(a); }
  FEWBIT_INLINE I bits(F a) { return _mm256_castps_si256(a); }
  FEWBIT_INLINE F from_bits(I a) { return _mm256_castsi256_ps(a); }
  FEWBIT_INLINE I add_int(I a, I b) { return _mm256_add_epi32(a, b); }
  FEWBIT_INLINE I sub_int(I a, I b) { return _mm256_sub_epi32(a, b); }
  FEWBIT_INLINE I mul_int(I a, I b) { return _mm256_mullo_epi32(a, b); }
  FEWBIT_INLINE I and_int(I a, I b) { return _mm256_and_si256(a, b); }
  FEWBIT_INLINE I or_int(I a, I b) { return _mm256_or_si256(a, b); }
  template <int kBits>
  FEWBIT_INLINE I shift_left(I a) {
    return _mm256_slli_epi32(a, kBits);
  }
  template <int kBits>
  FEWBIT_INLINE I shift_right(I a) {
    return _mm256_srai_epi32(a, kBits);
  }
  FEWBIT_INLINE float sum(F a) {
    __m128 v = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)));
  }
  FEWBIT_INLINE float largest(F a) {
    __m128 v = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    v = _mm_max_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)));
  }
  FEWBIT_INLINE float least(F a) {
    __m128 v = _mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    v = _mm_min_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_min_ss(v, _mm_movehdup_ps(v)));
  }
  FEWBIT_INLINE int32_t sum_int(I a) {
    __m128i v = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    v = _mm_add_epi32(v, _mm_unpackhi_epi64(v, v));
    return _mm_cvtsi128_si32(_mm_add_epi32(v, _mm_shuffle_epi32(v, 1)));
  }

  template <typename T>
  FEWBIT_INLINE I load_wide(const T* p) {
    if constexpr (sizeof(T) == 1) {
      const __m128i v = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
      return T(-1) < T(0) ? _mm256_cvtepi8_epi32(v) : _mm256_cvtepu8_epi32(v);
    } else if constexpr (sizeof(T) == 2) {
      const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
      return T(-1) < T(0) ? _mm256_cvtepi16_epi32(v) : _mm256_cvtepu16_epi32(v);
    } else {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    }
  }
  template <typename T>
  FEWBIT_INLINE I load_wide_n(const T* p, int n) {
    T buffer[kLanes] = {};
    __builtin_memcpy(buffer, p, static_cast<size_t>(n) * sizeof(T));
    return load_wide(buffer);
  }
  template <typename T>
  FEWBIT_INLINE void store_narrow(T* p, I v) {
    if constexpr (sizeof(T) == 4) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
      return;
    }
    // Gather the low bytes (or halves) of each 128-bit half in its lowest 4 (or 8) bytes.
    const __m256i order =
        sizeof(T) == 1
            ? _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8,
                               12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)
            : _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 4, 5,
                               8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m256i s = _mm256_shuffle_epi8(v, order);
    const __m128i low = _mm256_castsi256_si128(s), high = _mm256_extracti128_si256(s, 1);
    if constexpr (sizeof(T) == 1)
      _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_unpacklo_epi32(low, high));
    else
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_unpacklo_epi64(low, high));
  }
  template <typename T>
  FEWBIT_INLINE void store_narrow_n(T* p, I v, int n) {
    T buffer[kLanes];
    store_narrow(buffer, v);
    __builtin_memcpy(p, buffer, static_cast<size_t>(n) * sizeof(T));
  }

  static constexpr int kByteLanes = 32;
  using B = __m256i;
  FEWBIT_INLINE B load_bytes(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
  FEWBIT_INLINE B load_bytes_n(const void* p, int n) {
    uint8_t buffer[kByteLanes] = {};
    __builtin_memcpy(buffer, p, static_cast<size_t>(n));
    return load_bytes(buffer);
  }
  FEWBIT_INLINE void store_bytes(void* p, B v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
  FEWBIT_INLINE void store_bytes_n(void* p, B v, int n) {
    uint8_t buffer[kByteLanes];
    store_bytes(buffer, v);
    __builtin_memcpy(p, buffer, static_cast<size_t>(n));
  }
  template <typename T>
  FEWBIT_INLINE B max_bytes(B a, B b) {
    return T(-1) < T(0) ? _mm256_max_epi8(a, b) : _mm256_max_epu8(a, b);
  }
};

}  // namespace fewbit::pointwise::avx2
