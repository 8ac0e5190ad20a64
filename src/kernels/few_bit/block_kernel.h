#pragma once
// Expanded panels times many rows, over a vector policy V with V::kBlockRows rows and
// V::kBlockPanels panels of sums in registers. For rows_*.cpp of instruction sets without tiles.

#include "kernels/few_bit/few_bit_core.h"

namespace fewbit::few_bit {
namespace {

// total * unit * row_scale + bias
template <class V>
inline __attribute__((always_inline)) typename V::F block_result(typename V::F total,
                                                                 const float* unit, float row_scale,
                                                                 const float* bias) {
  return V::add_product(V::load_floats(bias), V::multiply(total, V::load_floats(unit)),
                        V::splat(row_scale));
}

// Rows [row, row + R) of a tile's 16, panels [panel, panel + P).
template <class V, int R, int P>
inline __attribute__((always_inline)) void block_part(const BlockJob& job, int64_t row,
                                                      int64_t panel) {
  constexpr int64_t kTile = kTileRows * kTileBytes;
  const int8_t* x = job.tiles + row / kTileRows * job.tile_stride + row % kTileRows * kTileBytes;
  const uint8_t* lines = job.lines + panel * job.k_tiles * kTile;
  typename V::I sum[R][P];
  for (int r = 0; r < R; ++r) {
    for (int p = 0; p < P; ++p) sum[r][p] = V::set(job.start[row + r]);
  }
  for (int64_t t = 0; t < job.k_tiles; ++t, x += kTile, lines += kTile) {
    for (int j = 0; j < 16; ++j) {
      typename V::W w[P];
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) w[p] = V::load(lines + p * job.k_tiles * kTile + 64 * j);
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
        for (int p = 0; p < P; ++p) {
          sum[r][p] = V::template dp<8>(sum[r][p], w[p], x + r * kTileBytes + 4 * j);
        }
      }
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) {
      float* total = job.total + (row + r) * job.total_stride + (panel + p) * kPanelRows;
      const float* scale = job.scale + (panel + p) * kPanelRows;
      const typename V::F before = job.first ? V::splat(0) : V::load_floats(total);
      const typename V::F value =
          V::add_product(before, V::load_floats(scale), V::to_float(sum[r][p]));
      if (job.last && row + r < job.rows && (panel + p) / 2 * 2 + 2 <= job.whole_panels) {
        const int64_t column = (panel + p) * kPanelRows;
        V::store(
            job.y + (row + r) * job.y_stride + column,
            block_result<V>(value, job.unit + column, job.row_scale[row + r], job.bias + column));
      } else {
        V::store(total, value);
      }
    }
  }
}

template <class V>
void block(const BlockJob& job) {
  static_assert(kTileRows % V::kBlockRows == 0);
  for (int64_t panel = 0; panel < job.panels; panel += V::kBlockPanels) {
    for (int64_t row = 0; row < job.row_tiles * kTileRows; row += V::kBlockRows) {
      block_part<V, V::kBlockRows, V::kBlockPanels>(job, row, panel);
    }
  }
}

}  // namespace
}  // namespace fewbit::few_bit
