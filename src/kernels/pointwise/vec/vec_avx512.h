#pragma once
// V on AVX-512 (F, BW, DQ, VL); see vec_scalar.h for the conventions. Include after setting the
// target.

namespace fewbit::pointwise::avx512 {

struct V {
  static constexpr int kLanes = 16;
  using F = __m512;
  using I = __m512i;
  using M = __mmask16;

  FEWBIT_INLINE __mmask16 first(int n) { return static_cast<__mmask16>((1U << n) - 1U); }
  FEWBIT_INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
  FEWBIT_INLINE void store(float* p, F v) { _mm512_storeu_ps(p, v); }
  FEWBIT_INLINE F load_n(const float* p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
  FEWBIT_INLINE void store_n(float* p, F v, int n) { _mm512_mask_storeu_ps(p, first(n), v); }
  FEWBIT_INLINE F set(float x) { return _mm512_set1_ps(x); }
  FEWBIT_INLINE I set_int(int32_t x) { return _mm512_set1_epi32(x); }

  FEWBIT_INLINE F add(F a, F b) { return _mm512_add_ps(a, b); }
  FEWBIT_INLINE F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  FEWBIT_INLINE F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  FEWBIT_INLINE F div(F a, F b) { return _mm512_div_ps(a, b); }
  FEWBIT_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  FEWBIT_INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
  FEWBIT_INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }
  FEWBIT_INLINE F sqrt(F a) { return _mm512_sqrt_ps(a); }
  FEWBIT_INLINE F round(F a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  FEWBIT_INLINE F floor(F a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  }
  FEWBIT_INLINE F ceil(F a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
  }
  FEWBIT_INLINE F abs(F a) { return _mm512_abs_ps(a); }
  FEWBIT_INLINE F copysign(F magnitude, F sign) {
    const F mask = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(mask, magnitude), _mm512_and_ps(mask, sign));
  }

  FEWBIT_INLINE M lt(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
  FEWBIT_INLINE M le(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
  FEWBIT_INLINE M eq(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
  FEWBIT_INLINE M unordered(F a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
  FEWBIT_INLINE F select(M m, F yes, F no) { return _mm512_mask_blend_ps(m, no, yes); }
  FEWBIT_INLINE bool any(M m) { return m != 0; }

  FEWBIT_INLINE I to_int(F a) { return _mm512_cvtps_epi32(a); }
  FEWBIT_INLINE F to_float(I a) { return _mm512_cvtepi32_ps(a); }
  FEWBIT_INLINE I bits(F a) { return _mm512_castps_si512(a); }
  FEWBIT_INLINE F from_bits(I a) { return _mm512_castsi512_ps(a); }
  FEWBIT_INLINE I add_int(I a, I b) { return _mm512_add_epi32(a, b); }
  FEWBIT_INLINE I sub_int(I a, I b) { return _mm512_sub_epi32(a, b); }
  FEWBIT_INLINE I mul_int(I a, I b) { return _mm512_mullo_epi32(a, b); }
  FEWBIT_INLINE I and_int(I a, I b) { return _mm512_and_si512(a, b); }
  FEWBIT_INLINE I or_int(I a, I b) { return _mm512_or_si512(a, b); }
  template <int kBits>
  FEWBIT_INLINE I shift_left(I a) {
    return _mm512_slli_epi32(a, kBits);
  }
  template <int kBits>
  FEWBIT_INLINE I shift_right(I a) {
    return _mm512_srai_epi32(a, kBits);
  }
  FEWBIT_INLINE float sum(F a) { return _mm512_reduce_add_ps(a); }
  FEWBIT_INLINE float largest(F a) { return _mm512_reduce_max_ps(a); }
  FEWBIT_INLINE float least(F a) { return _mm512_reduce_min_ps(a); }
  FEWBIT_INLINE int32_t sum_int(I a) { return _mm512_reduce_add_epi32(a); }

  template <typename T>
  FEWBIT_INLINE I widen8(__m128i v) {
    return T(-1) < T(0) ? _mm512_cvtepi8_epi32(v) : _mm512_cvtepu8_epi32(v);
  }
  template <typename T>
  FEWBIT_INLINE I widen16(__m256i v) {
    return T(-1) < T(0) ? _mm512_cvtepi16_epi32(v) : _mm512_cvtepu16_epi32(v);
  }
  template <typename T>
  FEWBIT_INLINE I load_wide(const T* p) {
    if constexpr (sizeof(T) == 1)
      return widen8<T>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    else if constexpr (sizeof(T) == 2)
      return widen16<T>(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    else
      return _mm512_loadu_si512(p);
  }
  template <typename T>
  FEWBIT_INLINE I load_wide_n(const T* p, int n) {
    if constexpr (sizeof(T) == 1)
      return widen8<T>(_mm_maskz_loadu_epi8(first(n), p));
    else if constexpr (sizeof(T) == 2)
      return widen16<T>(_mm256_maskz_loadu_epi16(first(n), p));
    else
      return _mm512_maskz_loadu_epi32(first(n), p);
  }
  template <typename T>
  FEWBIT_INLINE void store_narrow(T* p, I v) {
    if constexpr (sizeof(T) == 1)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v));
    else if constexpr (sizeof(T) == 2)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(v));
    else
      _mm512_storeu_si512(p, v);
  }
  template <typename T>
  FEWBIT_INLINE void store_narrow_n(T* p, I v, int n) {
    if constexpr (sizeof(T) == 1)
      _mm_mask_storeu_epi8(p, first(n), _mm512_cvtepi32_epi8(v));
    else if constexpr (sizeof(T) == 2)
      _mm256_mask_storeu_epi16(p, first(n), _mm512_cvtepi32_epi16(v));
    else
      _mm512_mask_storeu_epi32(p, first(n), v);
  }

  static constexpr int kByteLanes = 64;
  using B = __m512i;
  FEWBIT_INLINE __mmask64 first_bytes(int n) { return (uint64_t{1} << n) - 1; }
  FEWBIT_INLINE B load_bytes(const void* p) { return _mm512_loadu_si512(p); }
  FEWBIT_INLINE B load_bytes_n(const void* p, int n) {
    return _mm512_maskz_loadu_epi8(first_bytes(n), p);
  }
  FEWBIT_INLINE void store_bytes(void* p, B v) { _mm512_storeu_si512(p, v); }
  FEWBIT_INLINE void store_bytes_n(void* p, B v, int n) {
    _mm512_mask_storeu_epi8(p, first_bytes(n), v);
  }
  template <typename T>
  FEWBIT_INLINE B max_bytes(B a, B b) {
    return T(-1) < T(0) ? _mm512_max_epi8(a, b) : _mm512_max_epu8(a, b);
  }
};

}  // namespace fewbit::pointwise::avx512
