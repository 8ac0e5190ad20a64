// SSE2 is part of x86-64, so the unpacking forms need no dispatch; larger registers gain nothing
// here: the strided side of the copy is what costs. Blocks keep both sides in the first-level
// cache.
#include "kernels/pointwise/move/transpose_2d.h"

#include <algorithm>
#include <cstring>

#include "kernels/pointwise/vec/simd.h"

#if defined(__x86_64__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#endif

namespace fewbit::pointwise {

namespace {

template <typename T>
void plain(const T* src, int64_t src_stride, T* dst, int64_t dst_stride, int64_t rows,
           int64_t cols) {
  for (int64_t c = 0; c < cols; ++c)
    for (int64_t r = 0; r < rows; ++r) dst[c * dst_stride + r] = src[r * src_stride + c];
}

#if defined(__x86_64__)
/// kTile x kTile elements in registers.
template <typename T>
struct Tile;

template <>
struct Tile<uint32_t> {
  static constexpr int64_t kSide = 4;
  static void run(const uint32_t* src, int64_t src_stride, uint32_t* dst, int64_t dst_stride) {
    __m128 a = _mm_loadu_ps(reinterpret_cast<const float*>(src));
    __m128 b = _mm_loadu_ps(reinterpret_cast<const float*>(src + src_stride));
    __m128 c = _mm_loadu_ps(reinterpret_cast<const float*>(src + 2 * src_stride));
    __m128 d = _mm_loadu_ps(reinterpret_cast<const float*>(src + 3 * src_stride));
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(reinterpret_cast<float*>(dst), a);
    _mm_storeu_ps(reinterpret_cast<float*>(dst + dst_stride), b);
    _mm_storeu_ps(reinterpret_cast<float*>(dst + 2 * dst_stride), c);
    _mm_storeu_ps(reinterpret_cast<float*>(dst + 3 * dst_stride), d);
  }
};

template <>
struct Tile<uint16_t> {
  static constexpr int64_t kSide = 8;
  static void run(const uint16_t* src, int64_t src_stride, uint16_t* dst, int64_t dst_stride) {
    __m128i in[8], mid[8], out[8];
    for (int i = 0; i < 8; ++i)
      in[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + i * src_stride));
    for (int i = 0; i < 4; ++i) {
      mid[2 * i] = _mm_unpacklo_epi16(in[i], in[i + 4]);
      mid[2 * i + 1] = _mm_unpackhi_epi16(in[i], in[i + 4]);
    }
    for (int i = 0; i < 4; ++i) {
      out[2 * i] = _mm_unpacklo_epi16(mid[i], mid[i + 4]);
      out[2 * i + 1] = _mm_unpackhi_epi16(mid[i], mid[i + 4]);
    }
    for (int i = 0; i < 4; ++i) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + 2 * i * dst_stride),
                       _mm_unpacklo_epi16(out[i], out[i + 4]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + (2 * i + 1) * dst_stride),
                       _mm_unpackhi_epi16(out[i], out[i + 4]));
    }
  }
};

template <>
struct Tile<uint8_t> {
  static constexpr int64_t kSide = 16;
  static void run(const uint8_t* src, int64_t src_stride, uint8_t* dst, int64_t dst_stride) {
    // Each round interleaves row i with row i + 8; four rounds are a transposition.
    __m128i a[16], b[16];
    for (int i = 0; i < 16; ++i)
      a[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + i * src_stride));
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < 8; ++i) {
        b[2 * i] = _mm_unpacklo_epi8(a[i], a[i + 8]);
        b[2 * i + 1] = _mm_unpackhi_epi8(a[i], a[i + 8]);
      }
      for (int i = 0; i < 8; ++i) {
        a[2 * i] = _mm_unpacklo_epi8(b[i], b[i + 8]);
        a[2 * i + 1] = _mm_unpackhi_epi8(b[i], b[i + 8]);
      }
    }
    for (int i = 0; i < 16; ++i)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + i * dst_stride), a[i]);
  }
};

template <>
struct Tile<uint64_t> {
  static constexpr int64_t kSide = 2;
  static void run(const uint64_t* src, int64_t src_stride, uint64_t* dst, int64_t dst_stride) {
    const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src));
    const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + src_stride));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), _mm_unpacklo_epi64(a, b));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + dst_stride), _mm_unpackhi_epi64(a, b));
  }
};

template <typename T>
void tiles(const T* src, int64_t src_stride, T* dst, int64_t dst_stride, int64_t rows,
           int64_t cols) {
  constexpr int64_t kSide = Tile<T>::kSide;
  const int64_t whole_rows = rows / kSide * kSide, whole_cols = cols / kSide * kSide;
  for (int64_t c = 0; c < whole_cols; c += kSide)
    for (int64_t r = 0; r < whole_rows; r += kSide)
      Tile<T>::run(src + r * src_stride + c, src_stride, dst + c * dst_stride + r, dst_stride);
  plain(src + whole_rows * src_stride, src_stride, dst + whole_rows, dst_stride, rows - whole_rows,
        cols);
  plain(src + whole_cols, src_stride, dst + whole_cols * dst_stride, dst_stride, whole_rows,
        cols - whole_cols);
}
#else
template <typename T>
void tiles(const T* src, int64_t src_stride, T* dst, int64_t dst_stride, int64_t rows,
           int64_t cols) {
  plain(src, src_stride, dst, dst_stride, rows, cols);
}
#endif

template <typename T>
void blocked(const void* in, int64_t src_stride, void* out, int64_t dst_stride, int64_t rows,
             int64_t cols) {
  constexpr int64_t kBlock = 64;
  const T* src = static_cast<const T*>(in);
  T* dst = static_cast<T*>(out);
  for (int64_t r = 0; r < rows; r += kBlock)
    for (int64_t c = 0; c < cols; c += kBlock)
      tiles(src + r * src_stride + c, src_stride, dst + c * dst_stride + r, dst_stride,
            std::min(kBlock, rows - r), std::min(kBlock, cols - c));
}

void interleave3_scalar(const float* src, int64_t plane, float* dst, int64_t pixels) {
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t c = 0; c < 3; ++c) dst[3 * p + c] = src[c * plane + p];
}

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f")
/// Output vector v takes lane l from plane (16 v + l) % 3, pixel (16 v + l) / 3: a two-source
/// permutation for the first two planes and a masked one for the third.
void interleave3_avx512(const float* src, int64_t plane, float* dst, int64_t pixels) {
  __m512i two[3], third[3];
  __mmask16 from_third[3];
  for (int v = 0; v < 3; ++v) {
    int32_t index2[16], index3[16];
    from_third[v] = 0;
    for (int l = 0; l < 16; ++l) {
      const int e = 16 * v + l;
      index2[l] = e / 3 + (e % 3 == 1 ? 16 : 0);
      index3[l] = e / 3;
      if (e % 3 == 2) from_third[v] = static_cast<__mmask16>(from_third[v] | (1 << l));
    }
    two[v] = _mm512_loadu_si512(index2);
    third[v] = _mm512_loadu_si512(index3);
  }
  int64_t p = 0;
  for (; p + 16 <= pixels; p += 16) {
    const __m512 a = _mm512_loadu_ps(src + p), b = _mm512_loadu_ps(src + plane + p);
    const __m512 c = _mm512_loadu_ps(src + 2 * plane + p);
    for (int v = 0; v < 3; ++v)
      _mm512_storeu_ps(dst + 3 * p + 16 * v,
                       _mm512_mask_permutexvar_ps(_mm512_permutex2var_ps(a, two[v], b),
                                                  from_third[v], third[v], c));
  }
  interleave3_scalar(src + p, plane, dst + 3 * p, pixels - p);
}
#pragma GCC pop_options
#endif

}  // namespace

Transpose2d transpose_2d_for(int64_t elem_bytes) {
  switch (elem_bytes) {
    case 1:
      return blocked<uint8_t>;
    case 2:
      return blocked<uint16_t>;
    case 4:
      return blocked<uint32_t>;
    case 8:
      return blocked<uint64_t>;
    default:
      return nullptr;
  }
}

void interleave3(const float* src, int64_t plane, float* dst, int64_t pixels) {
#if defined(__x86_64__)
  if (simd() == Simd::kAvx512) return interleave3_avx512(src, plane, dst, pixels);
#endif
  interleave3_scalar(src, plane, dst, pixels);
}

}  // namespace fewbit::pointwise
