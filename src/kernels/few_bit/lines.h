#pragma once
// Codes out of their planes, over a vector policy V (vec_*.h). For the inner loops only.

#include "kernels/few_bit/few_bit_core.h"

namespace fewbit::few_bit {
namespace {

// The codes of a line (4 k) of a chunk, gathered from the planes of `Bits`.
template <class V, int Bits>
struct Lines {
  // Line J of the chunk at p. (Lines of a plane are loaded once: the compiler sees to it.)
  template <int J>
  static inline __attribute__((always_inline)) typename V::W get(const uint8_t* p) {
    if constexpr (Bits == 8) {
      return V::load(p + J * 64);
    } else {
      typename V::W w = V::zero();
      int64_t at = 0;
      int shift = 0;
      if constexpr ((Bits & 4) != 0) {
        w = V::template field<(J % 2) * 4, 0x0f>(V::load(p + J / 2 * 64));
        at += 256;
        shift += 4;
      }
      if constexpr ((Bits & 2) != 0) {
        const auto part = V::template field<(J % 4) * 2, 0x03>(V::load(p + at + J / 4 * 64));
        w = shift == 0 ? part : V::merge(w, V::template left<4>(part));
        at += 128;
        shift += 2;
      }
      if constexpr ((Bits & 1) != 0) {
        constexpr int kShift = Bits - 1;
        w = V::merge(w, V::template left<kShift>(V::template field<J, 0x01>(V::load(p + at))));
      }
      return w;
    }
  }
};

// Calls work.template operator()<bits>().
template <class Work>
inline __attribute__((always_inline)) void for_bits(int bits, const Work& work) {
  switch (bits) {
    case 1:
      return work.template operator()<1>();
    case 2:
      return work.template operator()<2>();
    case 3:
      return work.template operator()<3>();
    case 4:
      return work.template operator()<4>();
    case 5:
      return work.template operator()<5>();
    case 6:
      return work.template operator()<6>();
    case 7:
      return work.template operator()<7>();
    default:
      return work.template operator()<8>();
  }
}

}  // namespace
}  // namespace fewbit::few_bit
