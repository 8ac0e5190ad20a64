#pragma once
// Expanded panels times many rows on AMX tiles, over a tile wrapper T (kernels/tile.h) and a vector
// policy V for what follows the sums. 2 x 2 tiles of sums share two tiles of activations and two of
// weights for every 64 k:
//
//                       panel p (6)   panel p + 1 (7)
//   rows 0 .. 15  (4)     sums 0          sums 1
//   rows 16 .. 31 (5)     sums 2          sums 3

#include "kernels/few_bit/few_bit_core.h"
#include "kernels/tile.h"

namespace fewbit::few_bit {
namespace {

template <class T, class V>
struct AmxBlock {
  static constexpr int64_t kTile = kTileRows * kTileBytes;
  static constexpr int64_t kSums = kPanelRows * kTileRows;  // in a tile
  struct Sums {
    alignas(64) int32_t tile[4][kSums];
  };

  template <bool High>
  static void multiply(const BlockJob& job, const int8_t* low, const uint8_t* lines, Sums& sums) {
    const int8_t* high = low + job.tile_stride;
    const uint8_t* next_lines = lines + job.k_tiles * kTile;
    T::template zero<0>();
    T::template zero<1>();
    if (High) T::template zero<2>();
    if (High) T::template zero<3>();
    for (int64_t t = 0; t < job.k_tiles; ++t) {
      T::template load<6>(lines + t * kTile, kTileBytes);
      T::template load<4>(low + t * kTile, kTileBytes);
      T::template dot<0, 4, 6, true, false>();
      if (High) {
        T::template load<5>(high + t * kTile, kTileBytes);
        T::template dot<2, 5, 6, true, false>();
      }
      T::template load<7>(next_lines + t * kTile, kTileBytes);
      T::template dot<1, 4, 7, true, false>();
      if (High) T::template dot<3, 5, 7, true, false>();
    }
    T::template store<0>(sums.tile[0], kTileBytes);
    T::template store<1>(sums.tile[1], kTileBytes);
    if (High) T::template store<2>(sums.tile[2], kTileBytes);
    if (High) T::template store<3>(sums.tile[3], kTileBytes);
  }

  // total (+)= scale * (sum + start)
  static void finish(const BlockJob& job, const Sums& sums, int64_t row, int64_t panel,
                     int halves) {
    for (int p = 0; p < 2; ++p) {
      const typename V::F scale =
          V::load_float(reinterpret_cast<const uint8_t*>(job.scale + (panel + p) * kPanelRows));
      for (int64_t r = 0; r < halves * kTileRows; ++r) {
        const int32_t* sum = sums.tile[r / kTileRows * 2 + p] + r % kTileRows * kPanelRows;
        float* total = job.total + (row + r) * job.total_stride + (panel + p) * kPanelRows;
        const typename V::F value = V::to_float(V::add(V::load_sums(sum), job.start[row + r]));
        const typename V::F before =
            job.first ? V::splat(0) : V::load_float(reinterpret_cast<const uint8_t*>(total));
        V::store(total, V::add_product(before, scale, value));
      }
    }
  }

  static void run(const BlockJob& job) {
    TileConfig config;
    for (int tile = 0; tile < 8; ++tile) config.set(tile, kTileRows, kTileBytes);
    T::configure(config);
    // Sums stored by a tile instruction reach a vector load only through the cache. So they are
    // finished while the next ones are being computed.
    Sums sums[2];
    struct {
      int64_t row, panel;
      int halves = 0;
    } before;
    int turn = 0;
    for (int64_t panel = 0; panel < job.panels; panel += 2) {
      const uint8_t* lines = job.lines + panel * job.k_tiles * kTile;
      for (int64_t tile = 0; tile < job.row_tiles; tile += 2, turn ^= 1) {
        const bool high = tile + 1 < job.row_tiles;
        const int8_t* low = job.tiles + tile * job.tile_stride;
        high ? multiply<true>(job, low, lines, sums[turn])
             : multiply<false>(job, low, lines, sums[turn]);
        if (before.halves > 0) finish(job, sums[turn ^ 1], before.row, before.panel, before.halves);
        before = {tile * kTileRows, panel, high ? 2 : 1};
      }
    }
    if (before.halves > 0) finish(job, sums[turn ^ 1], before.row, before.panel, before.halves);
    T::release();
  }
};

}  // namespace
}  // namespace fewbit::few_bit
