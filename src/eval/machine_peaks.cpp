// The loops behind machine_limits: twelve independent accumulators, enough to hide the latency of
// the instruction (at most 5 cycles, two started per cycle). In assembly, because a compiler keeps
// an array of vectors in memory as soon as it cannot see through it, and computes the sums itself
// when it can.

#include <cstdint>

#include "eval/machine_limits.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fewbit {
namespace {

#if defined(__x86_64__)

constexpr int64_t kAccumulators = 12;

// INSTRUCTION source, source, accumulator for each of the registers 0 to 11; 12 and 13 hold zeros.
// The formatter does not settle on these macros.
// clang-format off
#define FEWBIT_ONE(instruction, r, i) instruction " %%" r "12, %%" r "13, %%" r #i "\n"
#define FEWBIT_TWELVE(instruction, r)                                                           \
  FEWBIT_ONE(instruction, r, 0)                                                                 \
  FEWBIT_ONE(instruction, r, 1) FEWBIT_ONE(instruction, r, 2) FEWBIT_ONE(instruction, r, 3)     \
      FEWBIT_ONE(instruction, r, 4) FEWBIT_ONE(instruction, r, 5) FEWBIT_ONE(instruction, r, 6) \
          FEWBIT_ONE(instruction, r, 7) FEWBIT_ONE(instruction, r, 8)                           \
              FEWBIT_ONE(instruction, r, 9) FEWBIT_ONE(instruction, r, 10)                      \
                  FEWBIT_ONE(instruction, r, 11)
#define FEWBIT_LOOP(name, body)                                                                  \
  void name(int64_t rounds) {                                                                    \
    if (rounds <= 0) return;                                                                     \
    asm volatile("vzeroall\n 1:\n" body "dec %0\n jnz 1b\n vzeroupper"                           \
                 : "+r"(rounds)                                                                  \
                 :                                                                               \
                 : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
                   "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");                \
  }
// clang-format on

FEWBIT_LOOP(vnni512, FEWBIT_TWELVE("vpdpbusd", "zmm"))
FEWBIT_LOOP(fma512, FEWBIT_TWELVE("vfmadd231ps", "zmm"))
FEWBIT_LOOP(vnni256, FEWBIT_TWELVE("%{vex%} vpdpbusd", "ymm"))
FEWBIT_LOOP(fma256, FEWBIT_TWELVE("vfmadd231ps", "ymm"))
// 8-bit products that cannot overflow take 16-bit operands here. The sums are instructions of their
// own; they find their operand in a register that the product before has left.
FEWBIT_LOOP(madd256, FEWBIT_TWELVE("vpmaddwd", "ymm") FEWBIT_TWELVE("vpaddd", "ymm"))

// Products of 512 single bits: where they differ, how often, added up.
#define FEWBIT_BITS(i)                 \
  "vpxorq %%zmm12, %%zmm13, %%zmm14\n" \
  "vpopcntq %%zmm14, %%zmm14\n"        \
  "vpaddq %%zmm14, %%zmm" #i ", %%zmm" #i "\n"
FEWBIT_LOOP(bits512, FEWBIT_BITS(0) FEWBIT_BITS(1) FEWBIT_BITS(2) FEWBIT_BITS(3) FEWBIT_BITS(4)
                         FEWBIT_BITS(5) FEWBIT_BITS(6) FEWBIT_BITS(7) FEWBIT_BITS(8) FEWBIT_BITS(9)
                             FEWBIT_BITS(10) FEWBIT_BITS(11))
#undef FEWBIT_BITS

#undef FEWBIT_LOOP
#undef FEWBIT_TWELVE
#undef FEWBIT_ONE

// Layout of the tile configuration: Intel SDM vol. 1, section 18.3 (palette 1).
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

template <bool Bfloat16>
__attribute__((target("amx-tile,amx-int8,amx-bf16"))) void amx(int64_t rounds) {
  const TileConfig config;
  // Not _tile_loadconfig: g++ 12 takes its argument for unread and drops the stores to it.
  asm volatile("ldtilecfg %0" : : "m"(config));
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int64_t r = 0; r < rounds; ++r) {
    if (Bfloat16) {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    } else {
      _tile_dpbssd(0, 4, 6);
      _tile_dpbssd(1, 4, 7);
      _tile_dpbssd(2, 5, 6);
      _tile_dpbssd(3, 5, 7);
    }
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

// popcnt, where the compiler may use it, else its arithmetic.
void plain_bits(int64_t rounds) {
  uint64_t words[4] = {1, 2, 3, 4};
  int64_t sums[4] = {};
  for (int64_t r = 0; r < rounds; ++r) {
    for (int i = 0; i < 4; ++i)
      sums[i] += __builtin_popcountll(words[i] ^ static_cast<uint64_t>(r));
    asm volatile("" : "+m"(sums), "+m"(words));
  }
}

constexpr KernelArithmetic kInt8 = KernelArithmetic::kInt8;
constexpr KernelArithmetic kFloat32 = KernelArithmetic::kFloat32;
constexpr KernelArithmetic kBfloat16 = KernelArithmetic::kBfloat16;
constexpr KernelArithmetic kBinary = KernelArithmetic::kBinary;

constexpr PeakRow kRows[] = {
#if defined(__x86_64__)
    {Isa::kAmx, kInt8, "tdpbssd", int64_t{4} * 16 * 16 * 64, amx<false>},
    {Isa::kAmx, kBfloat16, "tdpbf16ps", int64_t{4} * 16 * 16 * 32, amx<true>},
    {Isa::kAvx512Vnni, kInt8, "vpdpbusd zmm", kAccumulators * 64, vnni512},
    {Isa::kAvx512Vnni, kFloat32, "vfmadd zmm", kAccumulators * 16, fma512},
    {Isa::kAvx512Vnni, kBinary, "vpxorq, vpopcntq, vpaddq zmm", kAccumulators * 512, bits512,
     has_avx512_vpopcntdq},
    {Isa::kAvxVnni, kInt8, "vpdpbusd ymm", kAccumulators * 32, vnni256},
    {Isa::kAvx2, kInt8, "vpmaddwd ymm", kAccumulators * 16, madd256},
    {Isa::kAvx2, kFloat32, "vfmadd ymm", kAccumulators * 8, fma256},
#endif
    {Isa::kScalar, kInt8, "plain C++", 32, plain<int32_t>},
    {Isa::kScalar, kFloat32, "plain C++", 32, plain<float>},
    {Isa::kScalar, kBinary, "plain C++", int64_t{4} * 64, plain_bits},
};

}  // namespace

std::span<const PeakRow> peak_table() {
  return kRows;
}

}  // namespace fewbit
