// The AVX2 row: eight rows of weights in eight lanes, entries gathered, four weights at a time.
//
// AVX2 multiplies unsigned bytes with signed ones into saturated pairs of 16 bits: magnitudes of
// entries times activations that have taken their sign, at most 2 * 128 * 127.

#if defined(__x86_64__)

#include "kernels/vector_codes/vector_core.h"

#pragma GCC target("avx2,fma")

#include <immintrin.h>

#define FEWBIT_INLINE inline __attribute__((always_inline))

namespace fewbit::vector_codes {
namespace {

FEWBIT_INLINE __m256i lanes_at(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

// The codes of unit u of the chunk at p, a byte each.
FEWBIT_INLINE __m256i codes_of(const Layout& layout, const uint8_t* p, int u) {
  if (!layout.small) return lanes_at(p);
  const __m256i low = _mm256_srli_epi32(lanes_at(p + u / 2 * kLineBytes), 4 * (u % 2));
  const __m256i top = _mm256_srli_epi32(lanes_at(p + 2 * kLineBytes), 2 * u);
  return _mm256_or_si256(_mm256_and_si256(low, _mm256_set1_epi8(0x0f)),
                         _mm256_slli_epi32(_mm256_and_si256(top, _mm256_set1_epi8(0x03)), 4));
}

FEWBIT_INLINE __m256i vector_code(__m256i codes, int i) {
  return _mm256_and_si256(_mm256_srli_epi32(codes, 8 * i), _mm256_set1_epi32(0xff));
}

template <int Bytes>
FEWBIT_INLINE __m256i gather(const uint8_t* table, __m256i codes) {
  return _mm256_i32gather_epi32(reinterpret_cast<const int*>(table), codes, Bytes);
}

// Weights 4 j .. 4 j + 3 of a unit.
template <int Dim>
FEWBIT_INLINE __m256i weights(const uint8_t* table, __m256i codes, int j) {
  if constexpr (Dim == 2) {
    const __m256i first = gather<2>(table, vector_code(codes, 2 * j));
    const __m256i second = gather<2>(table, vector_code(codes, 2 * j + 1));
    return _mm256_blend_epi16(first, _mm256_slli_epi32(second, 16), 0xaa);
  } else {
    return gather<Dim>(table + j * 4 % Dim, vector_code(codes, j * 4 / Dim));
  }
}

FEWBIT_INLINE __m256i dp(__m256i sum, __m256i w, const int8_t* x) {
  int32_t four;
  __builtin_memcpy(&four, x, sizeof(four));
  const __m256i pairs =
      _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(_mm256_set1_epi32(four), w));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

template <int Dim, int M>
void half_panel(const PanelJob& job, const uint8_t* p, int half, float* y) {
  const Layout& layout = *job.layout;
  const Activations& a = job.x;
  const int64_t lanes = half * kLineBytes / 2;
  __m256 total[M];
  for (int m = 0; m < M; ++m) total[m] = _mm256_setzero_ps();
  int64_t k = 0;
  for (int64_t g = 0; g < layout.groups; ++g) {
    __m256i sum[M];
    for (int m = 0; m < M; ++m) sum[m] = _mm256_set1_epi32(a.start[m * layout.groups + g]);
    for (int64_t c = 0; c < layout.chunks; ++c, k += layout.chunk_elems()) {
      for (int64_t b = 0; b < layout.books; ++b, p += layout.chunk_bytes()) {
        const uint8_t* table = job.tables + b * layout.entries() * Dim;
        for (int u = 0; u < layout.units(); ++u) {
          const __m256i codes = codes_of(layout, p + lanes, u);
#pragma GCC unroll 8
          for (int j = 0; j < Dim; ++j) {
            const __m256i w = weights<Dim>(table, codes, j);
#pragma GCC unroll 8
            for (int m = 0; m < M; ++m) {
              sum[m] = dp(sum[m], w, a.q + m * a.q_stride + k + u * 4 * Dim + 4 * j);
            }
          }
        }
      }
    }
    const __m256 scale = _mm256_loadu_ps(reinterpret_cast<const float*>(p) + 8 * half);
    for (int m = 0; m < M; ++m) {
      total[m] = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(sum[m]), total[m]);
    }
    p += kPanelRows * 4;
  }
  for (int m = 0; m < M; ++m) {
    _mm256_storeu_ps(y + m * job.y_stride + 8 * half,
                     _mm256_mul_ps(total[m], _mm256_set1_ps(a.scale[m])));
  }
}

// Rows of activations one or four at a time: gathers take the time.
template <int Dim>
void run_dim(const PanelJob& job) {
  for (int64_t i = 0; i < job.panel_count; ++i) {
    const uint8_t* p = job.panels + i * job.layout->panel_bytes;
    for (int half = 0; half < 2; ++half) {
      PanelJob part = job;
      float* y = job.y + i * kPanelRows;
      while (part.rows > 0) {
        const int rows = part.rows >= 4 ? 4 : 1;
        rows == 4 ? half_panel<Dim, 4>(part, p, half, y) : half_panel<Dim, 1>(part, p, half, y);
        part.rows -= rows;
        part.x.q += rows * part.x.q_stride;
        part.x.start += rows * job.layout->groups;
        part.x.scale += rows;
        y += rows * job.y_stride;
      }
    }
  }
}

void run(const PanelJob& job) {
  switch (job.layout->dim) {
    case 2:
      return run_dim<2>(job);
    case 4:
      return run_dim<4>(job);
    default:
      return run_dim<8>(job);
  }
}

}  // namespace

const Row kAvx2Row = {Isa::kAvx2, "avx2", false, Order::kByVector, 0, run};

}  // namespace fewbit::vector_codes

#endif
