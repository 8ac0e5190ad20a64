#include "kernels/pointwise/table/lut.h"

#include <algorithm>
#include <cmath>

#include "kernels/isa.h"
#include "kernels/pointwise/unary/unary_reference.h"
#include "kernels/pointwise/vec/parallel.h"
#include "kernels/pointwise/vec/simd.h"

#if defined(__x86_64__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#endif

namespace fewbit::pointwise {

namespace {

void map_scalar(const uint8_t* src, uint8_t* dst, int64_t n, const uint8_t* lut) {
  for (int64_t i = 0; i < n; ++i) dst[i] = lut[src[i]];
}

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2")
// Sixteen shuffles of sixteen entries each. An index whose high nibble is not this row's is pushed
// to 128 or more by the saturating addition, and the shuffle gives 0 for it.
void map_avx2(const uint8_t* src, uint8_t* dst, int64_t n, const uint8_t* lut) {
  __m256i rows[16];
  for (int r = 0; r < 16; ++r)
    rows[r] = _mm256_broadcastsi128_si256(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(lut + r * 16)));
  const __m256i push = _mm256_set1_epi8(0x70);
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src + i));
    __m256i out = _mm256_setzero_si256();
#pragma GCC unroll 16
    for (int r = 0; r < 16; ++r) {
      const __m256i index =
          _mm256_adds_epu8(_mm256_xor_si256(x, _mm256_set1_epi8(static_cast<char>(r * 16))), push);
      out = _mm256_or_si256(out, _mm256_shuffle_epi8(rows[r], index));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + i), out);
  }
  map_scalar(src + i, dst + i, n - i, lut);
}
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vbmi")
void map_vbmi(const uint8_t* src, uint8_t* dst, int64_t n, const uint8_t* lut) {
  const __m512i t0 = _mm512_loadu_si512(lut), t1 = _mm512_loadu_si512(lut + 64);
  const __m512i t2 = _mm512_loadu_si512(lut + 128), t3 = _mm512_loadu_si512(lut + 192);
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    const __m512i x = _mm512_loadu_si512(src + i);
    const __m512i low = _mm512_permutex2var_epi8(t0, x, t1);
    const __m512i high = _mm512_permutex2var_epi8(t2, x, t3);
    _mm512_storeu_si512(dst + i, _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high));
  }
  map_scalar(src + i, dst + i, n - i, lut);
}
#pragma GCC pop_options
#endif

using MapFunction = void (*)(const uint8_t*, uint8_t*, int64_t, const uint8_t*);

MapFunction best_map() {
#if defined(__x86_64__)
  static const bool vbmi = has_avx512_vbmi();
  if (simd() == Simd::kAvx512 && vbmi) return map_vbmi;
  if (simd() != Simd::kScalar) return map_avx2;
#endif
  return map_scalar;
}

float dequantize_code(int bits, DType type, QAffine q) {
  const int32_t code = type == DType::kInt8 ? static_cast<int8_t>(bits) : bits;
  return static_cast<float>(code - q.zero) * q.scale;
}

uint8_t quantize_code(float x, DType type, QAffine q) {
  const QClamp range = full_range(type);
  const float lo = static_cast<float>(range.lo - q.zero),
              hi = static_cast<float>(range.hi - q.zero);
  float t = x / q.scale;
  t = t > lo ? t : lo;  // NaN becomes lo, as in quantize.h
  t = t < hi ? t : hi;
  return static_cast<uint8_t>(static_cast<int32_t>(std::nearbyintf(t)) + q.zero);
}

}  // namespace

Lut requantize_lut(DType from, QAffine from_affine, DType to, QAffine to_affine) {
  Lut lut;
  for (int i = 0; i < 256; ++i)
    lut[i] = quantize_code(dequantize_code(i, from, from_affine), to, to_affine);
  return lut;
}

Lut unary_lut(const Unary& f, DType from, QAffine from_affine, DType to, QAffine to_affine) {
  Lut lut;
  for (int i = 0; i < 256; ++i) {
    const double y = evaluate(f, dequantize_code(i, from, from_affine));
    lut[i] = quantize_code(static_cast<float>(y), to, to_affine);
  }
  return lut;
}

Lut compose(const Lut& first, const Lut& second) {
  Lut lut;
  for (int i = 0; i < 256; ++i) lut[i] = second[first[i]];
  return lut;
}

void map_bytes(const void* src, void* dst, int64_t n, const Lut& lut) {
  const MapFunction run = best_map();
  parallel_ranges(n, 4 * kGrainElems, 64, [&](int64_t begin, int64_t end) {
    run(static_cast<const uint8_t*>(src) + begin, static_cast<uint8_t*>(dst) + begin, end - begin,
        lut.data());
  });
}

}  // namespace fewbit::pointwise
