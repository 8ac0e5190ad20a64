#pragma once
// Codes to int8, written once over registers of W bytes. ISA files set their target first, as for
// tile_kernel.h.

#include <cstdint>

#include "kernels/int8_gemm/code_panels.h"

namespace fewbit::int8 {
namespace {

/// Registers of W bytes. (g++ 12 takes no size that depends on a template parameter.)
template <int W>
struct Registers;
template <>
struct Registers<16> {
  using Bytes = uint8_t __attribute__((vector_size(16)));
  using Words = uint16_t __attribute__((vector_size(16)));
};
template <>
struct Registers<32> {
  using Bytes = uint8_t __attribute__((vector_size(32)));
  using Words = uint16_t __attribute__((vector_size(32)));
};
template <>
struct Registers<64> {
  using Bytes = uint8_t __attribute__((vector_size(64)));
  using Words = uint16_t __attribute__((vector_size(64)));
};

template <int W>
struct Unpacker {
  using Bytes = typename Registers<W>::Bytes;
  using Words = typename Registers<W>::Words;

  static inline __attribute__((always_inline)) Bytes load(const void* from) {
    Bytes x;
    __builtin_memcpy(&x, from, W);
    return x;
  }
  /// Moves bits `by` places down (up, where negative); bits of neighbouring bytes come in.
  static inline __attribute__((always_inline)) Bytes shift(Bytes x, int by) {
    const auto words = reinterpret_cast<Words>(x);
    return reinterpret_cast<Bytes>(by >= 0 ? words >> by : words << -by);
  }

  /// One chunk: lines of codes in, eight lines of int8 out.
  template <int Bits>
  static inline __attribute__((always_inline)) void chunk(const uint8_t* codes, const uint8_t* zero,
                                                          int8_t* panel) {
    constexpr int kStep = Bits == 1 ? 1 : 0;  // places that a code moves up: 2 code - 1
#pragma GCC unroll 4
    for (int part = 0; part < kLineBytes; part += W) {
      Bytes plane[Bits];
#pragma GCC unroll 8
      for (int i = 0; i < Bits; ++i) plane[i] = load(codes + i * kLineBytes + part);
      const Bytes zeros = load(zero + part);
#pragma GCC unroll 8
      for (int line = 0; line < kChunkLines; ++line) {
        Bytes code = {};
        int first = 0, low = 0;  // line and bit with which a plane begins
#pragma GCC unroll 3
        for (int width = 4; width > 0; width /= 2) {
          if ((Bits & width) == 0) continue;
          const int per_line = 8 / width;
          const int at = line % per_line * width;
          const auto mask = static_cast<uint8_t>(((1 << width) - 1) << (low + kStep));
          code |= shift(plane[first + line / per_line], at - low - kStep) & (mask - Bytes{});
          first += width;
          low += width;
        }
        const Bytes value = code - zeros;
        __builtin_memcpy(panel + line * kLineBytes + part, &value, W);
      }
    }
  }

  template <int Bits>
  static void chunks(const uint8_t* codes, const uint8_t* zero, int64_t count, int8_t* panel) {
    for (int64_t i = 0; i < count; ++i) {
      chunk<Bits>(codes, zero, panel);
      codes += Bits * kLineBytes;
      panel += kChunkLines * kLineBytes;
    }
  }

  static void run(int bits, const uint8_t* codes, const uint8_t* zero, int64_t count,
                  int8_t* panel) {
    switch (bits) {
      case 1:
        return chunks<1>(codes, zero, count, panel);
      case 2:
        return chunks<2>(codes, zero, count, panel);
      case 3:
        return chunks<3>(codes, zero, count, panel);
      case 4:
        return chunks<4>(codes, zero, count, panel);
      case 5:
        return chunks<5>(codes, zero, count, panel);
      case 6:
        return chunks<6>(codes, zero, count, panel);
      default:
        return chunks<7>(codes, zero, count, panel);
    }
  }
};

}  // namespace
}  // namespace fewbit::int8
