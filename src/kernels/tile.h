#pragma once
// The AMX tile registers behind a small wrapper, and a twin that computes the same in plain C++, so
// that code written against the wrapper is tested on machines without AMX (Intel SDM vol. 1,
// chapter 18; the instructions TILELOADD, TDPBUSD and its kin, TDPBF16PS, TILESTORED).
//
// A tile has up to 16 rows of up to 64 bytes.
//
//   dot<C, A, B>       C[m][n] += sum over k of A[m][k] * B[k / 4][4 n + k % 4]
//                      bytes, unsigned or signed, into int32, which wraps around
//   dot_bf16<C, A, B>  C[m][n] += sum over k of A[m][k] * B[k / 2][2 n + k % 2]
//                      bfloat16 into float32: even and odd k are summed apart, each by fused
//                      multiply-adds in ascending k; the two sums are added, then C. Rounded to
//                      nearest, denormal operands and results are zeros.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace fewbit {
namespace {  // Internal linkage: every ISA file that includes this compiles it for its own target.

/// The operand of LDTILECFG.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  void set(int tile, int row_count, int bytes) {
    rows[tile] = static_cast<uint8_t>(row_count);
    row_bytes[tile] = static_cast<uint16_t>(bytes);
  }
};
static_assert(sizeof(TileConfig) == 64);

#if defined(__x86_64__)
/// The registers themselves. Only code that isa_runs_here(Isa::kAmx) reaches may call it. Written
/// in assembly because the compiler's intrinsics want tile numbers as literals.
struct NativeTile {
  static void configure(const TileConfig& config) {
    __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
  }
  static void release() { __asm__ volatile("tilerelease" ::: "memory"); }
  template <int T>
  static void load(const void* rows, int64_t stride_bytes) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2"
                     :
                     : "r"(rows), "r"(stride_bytes), "i"(T)
                     : "memory");
  }
  template <int T>
  static void store(void* rows, int64_t stride_bytes) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)"
                     :
                     : "r"(rows), "r"(stride_bytes), "i"(T)
                     : "memory");
  }
  template <int T>
  static void zero() {
    __asm__ volatile("tilezero %%tmm%c0" : : "i"(T));
  }
  template <int C, int A, int B, bool SignedA, bool SignedB = true>
  static void dot() {
    if constexpr (SignedA && SignedB) {
      __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
    } else if constexpr (SignedB) {
      __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
    } else if constexpr (SignedA) {
      __asm__ volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
    } else {
      __asm__ volatile("tdpbuud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
    }
  }
  template <int C, int A, int B>
  static void dot_bf16() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
  }
};
#endif

/// The same in plain C++. The configuration and the tiles belong to the calling thread, as the
/// registers do.
struct EmulatedTile {
  struct State {
    TileConfig config;
    uint8_t tile[8][16][64];
  };
  static State& state() {
    static thread_local State s;
    return s;
  }
  static void configure(const TileConfig& config) { state().config = config; }
  static void release() { state() = State{}; }
  template <int T>
  static void load(const void* rows, int64_t stride_bytes) {
    State& s = state();
    std::memset(s.tile[T], 0, sizeof s.tile[T]);
    for (int r = 0; r < s.config.rows[T]; ++r) {
      std::memcpy(s.tile[T][r], static_cast<const uint8_t*>(rows) + r * stride_bytes,
                  s.config.row_bytes[T]);
    }
  }
  template <int T>
  static void store(void* rows, int64_t stride_bytes) {
    const State& s = state();
    for (int r = 0; r < s.config.rows[T]; ++r) {
      std::memcpy(static_cast<uint8_t*>(rows) + r * stride_bytes, s.tile[T][r],
                  s.config.row_bytes[T]);
    }
  }
  template <int T>
  static void zero() {
    std::memset(state().tile[T], 0, sizeof state().tile[T]);
  }
  template <int C, int A, int B, bool SignedA, bool SignedB = true>
  static void dot() {
    State& s = state();
    for (int m = 0; m < s.config.rows[C]; ++m) {
      for (int n = 0; n < s.config.row_bytes[C] / 4; ++n) {
        uint32_t sum;
        std::memcpy(&sum, &s.tile[C][m][n * 4], 4);
        for (int k = 0; k < s.config.row_bytes[A]; ++k) {
          const int32_t a = widened<SignedA>(s.tile[A][m][k]);
          const int32_t b = widened<SignedB>(s.tile[B][k / 4][n * 4 + k % 4]);
          sum += static_cast<uint32_t>(a * b);
        }
        std::memcpy(&s.tile[C][m][n * 4], &sum, 4);
      }
    }
  }
  template <int C, int A, int B>
  static void dot_bf16() {
    State& s = state();
    for (int m = 0; m < s.config.rows[C]; ++m) {
      for (int n = 0; n < s.config.row_bytes[C] / 4; ++n) {
        float sum[2] = {0, 0};
        for (int k = 0; k < s.config.row_bytes[A] / 2; ++k) {
          const float a = float_of(&s.tile[A][m][2 * k]);
          const float b = float_of(&s.tile[B][k / 2][n * 4 + k % 2 * 2]);
          sum[k % 2] = flushed(std::fma(a, b, sum[k % 2]));
        }
        float c;
        std::memcpy(&c, &s.tile[C][m][n * 4], 4);
        c = flushed(flushed(c) + flushed(sum[0] + sum[1]));
        std::memcpy(&s.tile[C][m][n * 4], &c, 4);
      }
    }
  }

 private:
  template <bool Signed>
  static int32_t widened(uint8_t byte) {
    return Signed ? static_cast<int8_t>(byte) : byte;
  }
  static float flushed(float x) {
    return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x;
  }
  static float float_of(const uint8_t* bfloat16) {
    uint16_t half;
    std::memcpy(&half, bfloat16, 2);
    const uint32_t bits = static_cast<uint32_t>(half) << 16;
    float x;
    std::memcpy(&x, &bits, 4);
    return flushed(x);
  }
};

}  // namespace
}  // namespace fewbit
