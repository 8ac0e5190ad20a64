// The loops behind machine_limits: independent accumulators, enough of them that the latency of the
// instruction is hidden (5 cycles, two per cycle: 10). The empty asm keeps each in its register and
// keeps the compiler from doing the sums itself.

#include <cstdint>

#include "eval/machine_limits.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fewbit {
namespace {

#if defined(__x86_64__)

constexpr int kWide = 16;    // accumulators among the 32 registers of AVX-512
constexpr int kNarrow = 12;  // among the 16 of AVX2

__attribute__((target("avx512f,avx512vnni"))) void vnni512(int64_t rounds) {
  __m512i sums[kWide];
  for (auto& sum : sums) sum = _mm512_setzero_si512();
  __m512i a = _mm512_set1_epi8(1);
  __m512i b = _mm512_set1_epi8(2);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < kWide; ++i) {
      sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
      asm volatile("" : "+v"(sums[i]));
    }
  }
}

__attribute__((target("avx512f"))) void fma512(int64_t rounds) {
  __m512 sums[kWide];
  for (auto& sum : sums) sum = _mm512_setzero_ps();
  __m512 a = _mm512_set1_ps(0.5F);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < kWide; ++i) {
      sums[i] = _mm512_fmadd_ps(a, a, sums[i]);
      asm volatile("" : "+v"(sums[i]));
    }
  }
}

__attribute__((target("avx2,avxvnni"))) void vnni256(int64_t rounds) {
  __m256i sums[kNarrow];
  for (auto& sum : sums) sum = _mm256_setzero_si256();
  __m256i a = _mm256_set1_epi8(1);
  __m256i b = _mm256_set1_epi8(2);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < kNarrow; ++i) {
      sums[i] = _mm256_dpbusd_avx_epi32(sums[i], a, b);
      asm volatile("" : "+v"(sums[i]));
    }
  }
}

// 8-bit products that cannot overflow take 16-bit operands here.
__attribute__((target("avx2"))) void madd256(int64_t rounds) {
  __m256i sums[kNarrow];
  for (auto& sum : sums) sum = _mm256_setzero_si256();
  __m256i a = _mm256_set1_epi16(1);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < kNarrow; ++i) {
      // Reading the sum keeps the product from being moved out of the loop.
      sums[i] = _mm256_add_epi32(_mm256_madd_epi16(sums[i], a), a);
      asm volatile("" : "+v"(sums[i]));
    }
  }
}

__attribute__((target("avx2,fma"))) void fma256(int64_t rounds) {
  __m256 sums[kNarrow];
  for (auto& sum : sums) sum = _mm256_setzero_ps();
  __m256 a = _mm256_set1_ps(0.5F);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < kNarrow; ++i) {
      sums[i] = _mm256_fmadd_ps(a, a, sums[i]);
      asm volatile("" : "+v"(sums[i]));
    }
  }
}

// Layout of the tile configuration: Intel SDM vol. 1, section 18.3 (palette 1).
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

__attribute__((target("amx-tile,amx-int8"))) void amx(int64_t rounds) {
  const TileConfig config;
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int64_t r = 0; r < rounds; ++r) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
  _tile_release();
}

#endif

// What the compiler makes of plain C++ (128-bit vectors on x86-64).
template <typename T>
void plain(int64_t rounds) {
  T sums[32] = {};
  T a = 1;
  for (int64_t r = 0; r < rounds; ++r) {
    for (T& sum : sums) sum = sum * a + a;
    asm volatile("" : "+m"(sums), "+r"(rounds));
  }
}

constexpr PeakRow kRows[] = {
#if defined(__x86_64__)
    {Isa::kAmx, true, "tdpbssd", int64_t{4} * 16 * 16 * 64, amx},
    {Isa::kAvx512Vnni, true, "vpdpbusd zmm", int64_t{kWide} * 64, vnni512},
    {Isa::kAvx512Vnni, false, "vfmadd zmm", int64_t{kWide} * 16, fma512},
    {Isa::kAvxVnni, true, "vpdpbusd ymm", int64_t{kNarrow} * 32, vnni256},
    {Isa::kAvx2, true, "vpmaddwd ymm", int64_t{kNarrow} * 16, madd256},
    {Isa::kAvx2, false, "vfmadd ymm", int64_t{kNarrow} * 8, fma256},
#endif
    {Isa::kScalar, true, "plain C++", 32, plain<int32_t>},
    {Isa::kScalar, false, "plain C++", 32, plain<float>},
};

}  // namespace

std::span<const PeakRow> peak_table() { return kRows; }

}  // namespace fewbit
