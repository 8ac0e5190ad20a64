#pragma once
// The AMX tile kernel over a tile wrapper T (tile.h). 2 x 2 tiles of sums, 32 rows times two
// panels, share two tiles of A and two of B per 64 k:
//
//              B panel 0 (6)   B panel 1 (7)
//   A low (4)  sums 0          sums 1            rows of the first half
//   A high (5) sums 2          sums 3            rows of the second half
//
// The packed panels of int8_gemm.h already are B tiles: 16 lines of 64 bytes. A row stride of 0
// loads the same start into every row of sums.

#include "kernels/int8_gemm/int8_core.h"
#include "kernels/tile.h"

namespace fewbit::int8 {
namespace {

template <class T>
struct AmxTile {
  /// Rows of the two halves that the tile registers are configured for; -1 before the first tile.
  struct Configured {
    int low = -1;
    int high = -1;
  };
  static Configured& configured() {
    static thread_local Configured c;
    return c;
  }

  static void begin() { configured() = Configured{}; }
  static void end() { T::release(); }

  static void configure(int low, int high) {
    Configured& now = configured();
    if (now.low == low && now.high == high) return;
    now = {low, high};
    TileConfig config;
    const int high_bytes = high > 0 ? 64 : 0;
    config.set(0, low, 64);
    config.set(1, low, 64);
    config.set(2, high, high_bytes);
    config.set(3, high, high_bytes);
    config.set(4, low, 64);
    config.set(5, high, high_bytes);
    config.set(6, 16, 64);
    config.set(7, 16, 64);
    T::configure(config);
  }

  template <bool High, bool Two>
  static void start(const TileArgs& t, int low) {
    const int64_t stride = t.start_stride * static_cast<int64_t>(sizeof(int32_t));
    const int32_t* of_high = t.start + low * t.start_stride;
    T::template load<0>(t.start, stride);
    if (Two) T::template load<1>(t.start + kPanelCols, stride);
    if (High) T::template load<2>(of_high, stride);
    if (High && Two) T::template load<3>(of_high + kPanelCols, stride);
  }

  template <bool High, bool Two, bool Signed>
  static void step(const TileArgs& t, int64_t offset, const int8_t* b) {
    T::template load<6>(b, 64);
    T::template load<4>(t.a[0] + offset, t.a_stride);
    T::template dot<0, 4, 6, Signed>();
    if (High) {
      T::template load<5>(t.a[1] + offset, t.a_stride);
      T::template dot<2, 5, 6, Signed>();
    }
    if (!Two) return;
    T::template load<7>(b + t.panel_bytes, 64);
    T::template dot<1, 4, 7, Signed>();
    if (High) T::template dot<3, 5, 7, Signed>();
  }

  // Lines of 64 bytes of both panels, a part of the two tiles of B that lie `fetch` bytes ahead: in
  // turn, the tiles of a call fetch all of them.
  static void fetch(const TileArgs& t, const int8_t* b, int tile) {
    const int lines = t.tiles < 8 ? 32 / t.tiles : 4;
    const int first = tile * lines;
    for (int i = first; i < first + lines && i < 32; ++i) {
      __builtin_prefetch(b + t.fetch + i / 16 * t.panel_bytes + i % 16 * 64, 0, 2);
    }
  }

  template <bool High, bool Two, bool Signed>
  static void product(const TileArgs& t, int low, int tile, int32_t* acc) {
    start<High, Two>(t, low);
    const int8_t* b = t.b;
    for (int run = 0; run < t.runs; ++run) {
      int64_t offset = t.run_offset[run];
      for (int64_t k = 0; k < t.run_bytes; k += 64, b += 64 * kPanelCols, offset += t.a_step) {
        if (t.fetch != 0) fetch(t, b, tile);
        step<High, Two, Signed>(t, offset, b);
      }
    }
    constexpr int64_t kRow = kTileCols * sizeof(int32_t);
    T::template store<0>(acc, kRow);
    if (Two) T::template store<1>(acc + kPanelCols, kRow);
    if (High) T::template store<2>(acc + low * kTileCols, kRow);
    if (High && Two) T::template store<3>(acc + low * kTileCols + kPanelCols, kRow);
  }

  template <bool Signed>
  static void product(const TileArgs& t, int tile, int32_t* acc) {
    const int low = (t.rows + 1) / 2;
    const bool high = t.rows > low, two = t.panels == 2;
    configure(low, t.rows - low);
    if (high) {
      return two ? product<true, true, Signed>(t, low, tile, acc)
                 : product<true, false, Signed>(t, low, tile, acc);
    }
    return two ? product<false, true, Signed>(t, low, tile, acc)
               : product<false, false, Signed>(t, low, tile, acc);
  }

  /// Writes the sums of the call's `tile`-th tile to rows of kTileCols int32.
  static void sums(const TileArgs& t, int tile, int32_t* acc) {
    t.a_signed ? product<true>(t, tile, acc) : product<false>(t, tile, acc);
  }
};

}  // namespace
}  // namespace fewbit::int8
