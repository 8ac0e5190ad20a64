#pragma once
// The inner loop on 256 bits, where no instruction looks up dwords in a table of 32. Bytes are
// looked up in tables of 16 (VPSHUFB): four codes are spread over the bytes of a lane, two look-ups
// and a choice by the code's fifth bit make bytes of four 2-bit weights, and those give a line of
// weights each: weight i of the four codes, i < 3 or 4. So activations are taken in another order
// (arrange). The lanes are half a panel.
//
// AVX2 multiplies unsigned bytes with signed ones into pairs of 16 bits, which 2 * 2 * 127 fits;
// AVX-VNNI has VPDPBUSD. Include after setting the target; FEWBIT_HAS_VNNI says which.

#include <immintrin.h>

#include <cstdint>

#include "kernels/pattern_codes/pattern_core.h"

#define FEWBIT_INLINE inline __attribute__((always_inline))

namespace fewbit::pattern_codes {
namespace {

constexpr int64_t kSpread = 4;            // codes in the bytes of a lane
constexpr int64_t kBlockVectors = 8;      // registers of spread codes that a block makes
constexpr int64_t kTailDwordVectors = 2;  // and a dword of a tail
constexpr int kNone = -1;

// The codes in the four bytes of vector v of a block, and of a dword of a tail.
constexpr int8_t kBlockOrder[kBlockVectors][kSpread] = {
    {0, 1, 2, 3},     {6, 7, 8, 9},   {12, 13, 14, 15}, {18, 19, 20, 21},
    {24, 25, 26, 27}, {4, 5, 10, 11}, {16, 17, 22, 23}, {28, 29, 30, 31}};
constexpr int8_t kTailOrder[kTailDwordVectors][kSpread] = {{0, 1, 2, 3}, {4, 5, kNone, kNone}};

int64_t arranged_group_bytes(const Layout& layout) {
  return (layout.blocks * kBlockVectors + layout.tail_dwords() * kTailDwordVectors) *
         layout.weights_per_code * kSpread;
}

int64_t arranged_bytes(const Layout& layout) {
  return layout.groups * arranged_group_bytes(layout);
}

// The activations of four codes: weight after weight.
int8_t* arrange_four(const int8_t (&order)[kSpread], int64_t first_code, int64_t codes,
                     const int8_t* q, int weights_per_code, int8_t* out) {
  for (int i = 0; i < weights_per_code; ++i) {
    for (const int8_t place : order) {
      const int64_t code = first_code + place;
      *out++ = place != kNone && code < codes ? q[code * weights_per_code + i] : int8_t{0};
    }
  }
  return out;
}

void arrange(const Layout& layout, const int8_t* q, int8_t* out) {
  const int wpc = layout.weights_per_code;
  const int64_t codes = layout.blocks * kBlockCodes + layout.tail;
  for (int64_t g = 0; g < layout.groups; ++g, q += layout.group_elems) {
    for (int64_t b = 0; b < layout.blocks; ++b) {
      for (const auto& order : kBlockOrder) {
        out = arrange_four(order, b * kBlockCodes, codes, q, wpc, out);
      }
    }
    for (int64_t d = 0; d < layout.tail_dwords(); ++d) {
      const int64_t first = layout.blocks * kBlockCodes + d * kCodesPerDword;
      for (const auto& order : kTailOrder) out = arrange_four(order, first, codes, q, wpc, out);
    }
  }
}

// Patterns as bytes of four times 2 bits, by the low four bits of the code; both 128-bit halves of
// a register hold the same.
struct ByteTables {
  __m256i low, high;

  explicit ByteTables(const PatternTable& table) {
    uint8_t bytes[32];
    for (size_t c = 0; c < 32; ++c) {
      const auto& t = table[c];
      bytes[c] = static_cast<uint8_t>(t[0] | t[1] << 2 | t[2] << 4 | t[3] << 6);
    }
    low = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
    high =
        _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 16)));
  }

  FEWBIT_INLINE __m256i look_up(__m256i codes) const {
    // Bit 4 of a byte becomes its highest, by which the blend chooses.
    return _mm256_blendv_epi8(_mm256_shuffle_epi8(low, codes), _mm256_shuffle_epi8(high, codes),
                              _mm256_slli_epi16(codes, 3));
  }
};

FEWBIT_INLINE __m256i load_lanes(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

// The 5 bits of every lane from bit `From` on (below 0: from bit 0, shifted left), put into byte
// `Byte`.
template <int From, int Byte>
FEWBIT_INLINE __m256i place(__m256i w) {
  constexpr int kRight = From - 8 * Byte;
  __m256i moved = w;
  if constexpr (kRight > 0) moved = _mm256_srli_epi32(w, kRight);
  if constexpr (kRight < 0) moved = _mm256_slli_epi32(w, -kRight);
  return _mm256_and_si256(moved, _mm256_set1_epi32(0x1f << 8 * Byte));
}

FEWBIT_INLINE __m256i join(__m256i a, __m256i b) {
  return _mm256_or_si256(a, b);
}
// Codes 0 to 3 of a dword.
FEWBIT_INLINE __m256i lower_codes(__m256i w) {
  return join(join(place<0, 0>(w), place<5, 1>(w)), join(place<10, 2>(w), place<15, 3>(w)));
}
// Codes 4 and 5 of a dword, in bytes 0 and 1 or 2 and 3.
template <int Byte>
FEWBIT_INLINE __m256i upper_codes(__m256i w) {
  return join(place<20, Byte>(w), place<25, Byte + 1>(w));
}

template <int From, int Mask>
FEWBIT_INLINE __m256i rest(__m256i w) {
  return _mm256_and_si256(_mm256_srli_epi32(w, From), _mm256_set1_epi32(Mask));
}

// The codes of a block in the rests of its dwords, in bytes 2 and 3.
FEWBIT_INLINE __m256i rest_codes(const __m256i (&w)[kBlockDwords]) {
  const __m256i first =
      join(join(_mm256_srli_epi32(w[0], 30), rest<28, 0x0c>(w[1])), rest<26, 0x10>(w[2]));
  const __m256i second =
      join(join(_mm256_srli_epi32(w[2], 31), rest<29, 0x06>(w[3])), rest<27, 0x18>(w[4]));
  return join(_mm256_slli_epi32(first, 16), _mm256_slli_epi32(second, 24));
}

FEWBIT_INLINE __m256i dp(__m256i sum, __m256i w, const int8_t* x) {
  int32_t four;
  __builtin_memcpy(&four, x, sizeof(four));
  const __m256i all = _mm256_set1_epi32(four);
#if defined(FEWBIT_HAS_VNNI)
  return _mm256_dpbusd_avx_epi32(sum, w, all);
#else
  return _mm256_add_epi32(sum,
                          _mm256_madd_epi16(_mm256_maddubs_epi16(w, all), _mm256_set1_epi16(1)));
#endif
}

// Half a panel against M rows of x. A product waits for the one before it in the same sum: with few
// rows the weights of a code take turns.
template <int Wpc, int M>
struct HalfPanel {
  static constexpr int kSums = M == 1 ? 4 : M <= 3 ? 2 : 1;

  ByteTables tables;
  const int8_t* x[M];
  __m256i sum[M][kSums];

  FEWBIT_INLINE void multiply(__m256i codes) {
    const __m256i packed = tables.look_up(codes);
    __m256i w[4] = {packed, _mm256_srli_epi32(packed, 2), _mm256_srli_epi32(packed, 4),
                    _mm256_srli_epi32(packed, 6)};
#pragma GCC unroll 4
    for (int i = 0; i < Wpc; ++i) w[i] = _mm256_and_si256(w[i], _mm256_set1_epi8(3));
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (int i = 0; i < Wpc; ++i) {
        sum[m][i % kSums] = dp(sum[m][i % kSums], w[i], x[m] + i * kSpread);
      }
      x[m] += Wpc * kSpread;
    }
  }

  FEWBIT_INLINE void block(const uint8_t* p) {
    __m256i w[kBlockDwords];
#pragma GCC unroll 5
    for (int d = 0; d < kBlockDwords; ++d) w[d] = load_lanes(p + d * kLineBytes);
#pragma GCC unroll 5
    for (int d = 0; d < kBlockDwords; ++d) multiply(lower_codes(w[d]));
    multiply(join(upper_codes<0>(w[0]), upper_codes<2>(w[1])));
    multiply(join(upper_codes<0>(w[2]), upper_codes<2>(w[3])));
    multiply(join(upper_codes<0>(w[4]), rest_codes(w)));
  }

  FEWBIT_INLINE void tail_dword(const uint8_t* p) {
    const __m256i w = load_lanes(p);
    multiply(lower_codes(w));
    multiply(upper_codes<0>(w));
  }
};

FEWBIT_INLINE __m256 scales_at(const uint8_t* p, bool half_scales, int half) {
  if (!half_scales) return _mm256_loadu_ps(reinterpret_cast<const float*>(p) + 8 * half);
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p) + half));
}

template <int Wpc, int M>
void half_panel(const PanelJob& job, const uint8_t* p, int half, float* y) {
  const Layout& layout = *job.layout;
  const Activations& a = job.x;
  HalfPanel<Wpc, M> h{ByteTables(layout.table), {}, {}};
  __m256 total[M];
  for (int m = 0; m < M; ++m) {
    h.x[m] = a.q + m * a.q_stride;
    total[m] = _mm256_setzero_ps();
  }
  const int64_t lanes = half * kLineBytes / 2;
  for (int64_t g = 0; g < layout.groups; ++g) {
    for (int m = 0; m < M; ++m) {
      for (__m256i& sum : h.sum[m]) sum = _mm256_setzero_si256();
      h.sum[m][0] = _mm256_set1_epi32(a.start[m * layout.groups + g]);
    }
    for (int64_t b = 0; b < layout.blocks; ++b, p += kBlockBytes) h.block(p + lanes);
    for (int64_t d = 0; d < layout.tail_dwords(); ++d, p += kLineBytes) h.tail_dword(p + lanes);
    const __m256 scale = scales_at(p, layout.half_scales, half);
    for (int m = 0; m < M; ++m) {
      __m256i sum = h.sum[m][0];
      for (int i = 1; i < h.kSums; ++i) sum = _mm256_add_epi32(sum, h.sum[m][i]);
      total[m] = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(sum), total[m]);
    }
    p += layout.scale_bytes();
  }
  for (int m = 0; m < M; ++m) {
    _mm256_storeu_ps(y + m * job.y_stride + 8 * half,
                     _mm256_mul_ps(total[m], _mm256_set1_ps(a.scale[m])));
  }
}

template <int Wpc, int M>
void panels(const PanelJob& job) {
  for (int64_t i = 0; i < job.panel_count; ++i) {
    const uint8_t* p = job.panels + i * job.layout->panel_bytes;
    for (int half = 0; half < 2; ++half) half_panel<Wpc, M>(job, p, half, job.y + i * kPanelRows);
  }
}

template <int Wpc>
void run_rows(const PanelJob& job) {
  switch (job.rows) {
    case 1:
      return panels<Wpc, 1>(job);
    case 2:
      return panels<Wpc, 2>(job);
    case 3:
      return panels<Wpc, 3>(job);
    case 4:
      return panels<Wpc, 4>(job);
    case 5:
      return panels<Wpc, 5>(job);
    case 6:
      return panels<Wpc, 6>(job);
    case 7:
      return panels<Wpc, 7>(job);
    default:
      return panels<Wpc, 8>(job);
  }
}

void run_panels(const PanelJob& job) {
  return job.layout->weights_per_code == 3 ? run_rows<3>(job) : run_rows<4>(job);
}

}  // namespace
}  // namespace fewbit::pattern_codes

#undef FEWBIT_INLINE
