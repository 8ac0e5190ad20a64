// AVX-512 with VPOPCNTDQ. All of it runs on ports 0 and 5, so what counts is instructions. For
// x = w ^ a in two words, with a sum bit kept from word to word:
//
//   one word at a time   VPXORQ, VPOPCNTQ, VPADDQ                               3 a word
//   two words            t = ones ^ w0 ^ a0, ones' = t ^ w1 ^ a1,               VPTERNLOGQ each
//                        carry = t ? ~ones' : ones                              (x1 = ones' ^ t)
//                        twos += popcount(carry)                                2.5 a word
//
// The exclusive or with the activation costs nothing inside a full adder. Further levels of the
// adder (Harley and Seal) take two more VPTERNLOGQ for every VPOPCNTQ and VPADDQ that they save:
// they stay at 2.5.

#if defined(__x86_64__)

// g++ 12 takes the undefined pass-through operands of its own intrinsics for a mistake of ours
// (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include "kernels/binary/bit_core.h"

#pragma GCC target("avx512f,avx512vpopcntdq")

#include <immintrin.h>

#include "kernels/binary/tile_kernel.h"

namespace fewbit::binary {
namespace {

#define FEWBIT_INLINE inline __attribute__((always_inline))

struct VecAvx512 {
  using Word = __m512i;
  using Sum = __m512i;
  static FEWBIT_INLINE Sum zero() { return _mm512_setzero_si512(); }
  static FEWBIT_INLINE Word load(const uint64_t* w) { return _mm512_loadu_si512(w); }
  template <Op kOp>
  static FEWBIT_INLINE void add(Sum& sum, Word w, const uint64_t* a) {
    const __m512i x = _mm512_set1_epi64(static_cast<int64_t>(*a));
    const __m512i bits = kOp == Op::kXor ? _mm512_xor_si512(w, x) : _mm512_and_si512(w, x);
    sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(bits));
  }
  static FEWBIT_INLINE void store(int32_t* to, Sum sum) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi64_epi32(sum));
  }
};

FEWBIT_INLINE __m512i broadcast(const uint64_t* a) {
  return _mm512_set1_epi64(static_cast<int64_t>(*a));
}

// Two words at a time; the last word of an odd run is added as above.
template <int R, int P>
void differences_by_pairs(const BitTile& t) {
  __m512i ones[R][P], twos[R][P], singles[R][P];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) ones[r][p] = twos[r][p] = singles[r][p] = _mm512_setzero_si512();
  }
  constexpr int kXor3 = 0x96, kCarry = 0x3a;  // of (t, sum, ones): t ? ~sum : ones
  const uint64_t* w = t.w;
  for (int run = 0; run < t.runs; ++run) {
    const int64_t offset = t.run_offset[run];
    int64_t i = 0;
    for (; i + 2 <= t.run_words; i += 2, w += 2 * kLanes) {
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        const __m512i w0 = _mm512_loadu_si512(w + p * t.panel_words);
        const __m512i w1 = _mm512_loadu_si512(w + p * t.panel_words + kLanes);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
          const uint64_t* a = t.a[r] + offset + i;
          const __m512i half = _mm512_ternarylogic_epi64(ones[r][p], w0, broadcast(a), kXor3);
          const __m512i sum = _mm512_ternarylogic_epi64(half, w1, broadcast(a + 1), kXor3);
          const __m512i carry = _mm512_ternarylogic_epi64(half, sum, ones[r][p], kCarry);
          ones[r][p] = sum;
          twos[r][p] = _mm512_add_epi64(twos[r][p], _mm512_popcnt_epi64(carry));
        }
      }
    }
    for (; i < t.run_words; ++i, w += kLanes) {
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        const __m512i word = VecAvx512::load(w + p * t.panel_words);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
          VecAvx512::add<Op::kXor>(singles[r][p], word, t.a[r] + offset + i);
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) {
      const __m512i low = _mm512_add_epi64(singles[r][p], _mm512_popcnt_epi64(ones[r][p]));
      VecAvx512::store(t.counts[r] + p * kLanes,
                       _mm512_add_epi64(low, _mm512_slli_epi64(twos[r][p], 1)));
    }
  }
}

void differences(const BitTile& t) {
  constexpr void (*kTiles[])(const BitTile&) = {
      differences_by_pairs<1, 1>, differences_by_pairs<1, 2>, differences_by_pairs<2, 1>,
      differences_by_pairs<2, 2>, differences_by_pairs<3, 1>, differences_by_pairs<3, 2>,
      differences_by_pairs<4, 1>, differences_by_pairs<4, 2>};
  kTiles[2 * (t.rows - 1) + t.panels - 1](t);
}

#undef FEWBIT_INLINE

}  // namespace

const Row kAvx512Row = {Isa::kAvx512Vnni, "avx512_vpopcntdq",
                        [] { return isa_runs_here(Isa::kAvx512Vnni) && has_avx512_vpopcntdq(); },
                        differences, any_tile<VecAvx512, Op::kAnd>};

}  // namespace fewbit::binary

#endif
