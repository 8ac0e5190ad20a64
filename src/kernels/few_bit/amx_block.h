#pragma once
// Expanded panels times many rows on AMX tiles, over a tile wrapper T (kernels/tile.h) and a vector
// policy V for what follows the sums. 2 x 2 tiles of sums share two tiles of activations and two of
// weights for every 64 k:
//
//                       panel p (6)   panel p + 1 (7)
//   rows 0 .. 15  (4)     sums 0          sums 1
//   rows 16 .. 31 (5)     sums 2          sums 3

#include <algorithm>

#include "kernels/few_bit/block_kernel.h"
#include "kernels/tile.h"

namespace fewbit::few_bit {
namespace {

template <class T, class V>
struct AmxBlock {
  static constexpr int64_t kTile = kTileRows * kTileBytes;
  static constexpr int64_t kLineBytes = 64;
  static constexpr int64_t kColumns = 2 * kPanelRows;
  static constexpr int64_t kSumBytes = kColumns * sizeof(int32_t);

  // Sums of 32 rows and two panels. What a tile instruction has stored reaches a vector load only
  // through the cache, and what is done with sums takes other ports than the products. So they are
  // finished row by row while the next tiles are being computed.
  struct Pending {
    alignas(64) int32_t sums[2 * kTileRows * kColumns];
    const int32_t* next = sums;
    int64_t row = 0, panel = 0;
    int rows = 0;
  };

  enum class Place { kFirst, kMiddle, kLast, kOnly };  // of a job among those for the same results
  static constexpr bool is_first(Place p) { return p == Place::kFirst || p == Place::kOnly; }
  static constexpr bool is_last(Place p) { return p == Place::kLast || p == Place::kOnly; }

  // total (+)= scale * sum, and what follows the last block, for up to `rows` rows
  template <Place At>
  static inline __attribute__((always_inline)) void finish(const BlockJob& job, Pending& p,
                                                           int rows) {
    const int64_t column = p.panel * kPanelRows;
    rows = std::min(rows, p.rows);
    p.rows -= rows;
    float* total = job.total + p.row * job.total_stride + column;
    float* y = job.y + p.row * job.y_stride + column;
    const bool ends = is_last(At) && p.panel + 2 <= job.whole_panels;
    for (; rows > 0; --rows, ++p.row, p.next += kColumns) {
#pragma GCC unroll 2
      for (int64_t c = 0; c < kColumns; c += kPanelRows) {
        const typename V::F before = is_first(At) ? V::splat(0) : V::load_floats(total + c);
        const typename V::F value = V::add_product(before, V::load_floats(job.scale + column + c),
                                                   V::to_float(V::load_sums(p.next + c)));
        if (ends && p.row < job.rows) {
          V::store(y + c, block_result<V>(value, job.unit + column + c, job.row_scale[p.row],
                                          job.bias + column + c));
        } else {
          V::store(total + c, value);
        }
      }
      total += job.total_stride;
      y += job.y_stride;
    }
  }

  // Asks for the tiles of the next job, which lie in one piece, a few lines for every 64 k.
  struct Fetcher {
    const int8_t* at;
    int64_t lines, step;

    explicit Fetcher(const BlockJob& job)
        : at(job.next_tiles), lines(job.row_tiles * job.k_tiles * kTile / kLineBytes) {
      const int64_t steps = job.panels / 2 * ((job.row_tiles + 1) / 2) * job.k_tiles;
      step = (lines + steps - 1) / steps;
    }
    inline __attribute__((always_inline)) void operator()() {
      for (int64_t i = std::min(step, lines); i > 0; --i, at += kLineBytes) {
        __builtin_prefetch(at, 0, 2);
      }
      lines -= std::min(step, lines);
    }
  };

  template <bool High, Place At>
  static void multiply(const BlockJob& job, const int8_t* low, const uint8_t* lines,
                       Pending& before, Pending& now, Fetcher& fetch) {
    const int8_t* high = low + job.tile_stride;
    const uint8_t* next_lines = lines + job.k_tiles * kTile;
    const auto rows_a_step = static_cast<int>((before.rows + job.k_tiles - 1) / job.k_tiles);
    T::template zero<0>();
    T::template zero<1>();
    if (High) T::template zero<2>();
    if (High) T::template zero<3>();
    for (int64_t t = 0; t < job.k_tiles; ++t) {
      T::template load<6>(lines + t * kTile, kTileBytes);
      T::template load<4>(low + t * kTile, kTileBytes);
      T::template dot<0, 4, 6, true>();
      if (High) {
        T::template load<5>(high + t * kTile, kTileBytes);
        T::template dot<2, 5, 6, true>();
      }
      T::template load<7>(next_lines + t * kTile, kTileBytes);
      T::template dot<1, 4, 7, true>();
      if (High) T::template dot<3, 5, 7, true>();
      fetch();
      finish<At>(job, before, rows_a_step);
    }
    T::template store<0>(now.sums, kSumBytes);
    T::template store<1>(now.sums + kPanelRows, kSumBytes);
    if (High) T::template store<2>(now.sums + kTileRows * kColumns, kSumBytes);
    if (High) T::template store<3>(now.sums + kTileRows * kColumns + kPanelRows, kSumBytes);
  }

  template <Place At>
  static void run(const BlockJob& job) {
    TileConfig config;
    for (int tile = 0; tile < 8; ++tile) config.set(tile, kTileRows, kTileBytes);
    T::configure(config);
    Fetcher fetch(job);
    Pending pending[2];
    int turn = 0;
    for (int64_t panel = 0; panel < job.panels; panel += 2) {
      const uint8_t* lines = job.lines + panel * job.k_tiles * kTile;
      for (int64_t tile = 0; tile < job.row_tiles; tile += 2, turn ^= 1) {
        const bool high = tile + 1 < job.row_tiles;
        const int8_t* low = job.tiles + tile * job.tile_stride;
        Pending& now = pending[turn];
        high ? multiply<true, At>(job, low, lines, pending[turn ^ 1], now, fetch)
             : multiply<false, At>(job, low, lines, pending[turn ^ 1], now, fetch);
        now.next = now.sums;
        now.row = tile * kTileRows;
        now.panel = panel;
        now.rows = static_cast<int>((high ? 2 : 1) * kTileRows);
      }
    }
    Pending& rest = pending[turn ^ 1];
    finish<At>(job, rest, rest.rows);
    T::release();
  }

  static void run(const BlockJob& job) {
    if (job.last) return job.first ? run<Place::kOnly>(job) : run<Place::kLast>(job);
    job.first ? run<Place::kFirst>(job) : run<Place::kMiddle>(job);
  }
};

}  // namespace
}  // namespace fewbit::few_bit
