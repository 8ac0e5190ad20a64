#pragma once
// The inner loop over a policy V of one panel's lanes: types Word (a word of the eight rows of
// weights) and Sum, zero(), load(w), add(sum, w, a, op), store(counts, sum). ISA files set their
// target first.

#include "kernels/binary/bit_core.h"

namespace fewbit::binary {
namespace {

enum class Op { kXor, kAnd };

template <class V, Op kOp, int R, int P>
void bit_tile(const BitTile& t) {
  typename V::Sum sum[R][P];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) sum[r][p] = V::zero();
  }
  const uint64_t* w = t.w;
  for (int run = 0; run < t.runs; ++run) {
    const int64_t offset = t.run_offset[run];
    for (int64_t i = 0; i < t.run_words; ++i, w += kLanes) {
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        const typename V::Word word = V::load(w + p * t.panel_words);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
          V::template add<kOp>(sum[r][p], word, t.a[r] + offset + i);
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) V::store(t.counts[r] + p * kLanes, sum[r][p]);
  }
}

template <class V, Op kOp>
void any_tile(const BitTile& t) {
  constexpr void (*kTiles[])(const BitTile&) = {bit_tile<V, kOp, 1, 1>, bit_tile<V, kOp, 1, 2>,
                                                bit_tile<V, kOp, 2, 1>, bit_tile<V, kOp, 2, 2>,
                                                bit_tile<V, kOp, 3, 1>, bit_tile<V, kOp, 3, 2>,
                                                bit_tile<V, kOp, 4, 1>, bit_tile<V, kOp, 4, 2>};
  kTiles[2 * (t.rows - 1) + t.panels - 1](t);
}

}  // namespace
}  // namespace fewbit::binary
