#pragma once
// Activations as the kernels take them.

#include <cstdint>
#include <vector>

#include "kernels/few_bit/few_bit_core.h"

namespace fewbit::few_bit {

inline constexpr int64_t kBlockDepth = 1024;  ///< k that share a scale of expanded weights

/// Rows of x, quantized or copied, and their sums. Rows may be filled in by many threads.
class ActivationRows {
 public:
  /// For `m` rows, as rows of int8 or float32 one after the other.
  ActivationRows(const Panels& panels, FewBitActivations kind, int64_t m);
  void set(int64_t row, const float* x);
  Activations all() const;

 private:
  const Panels& panels_;
  const FewBitActivations kind_;
  std::vector<int8_t> q_;
  std::vector<float> x_;
  std::vector<int32_t> start_;
  std::vector<float> float_start_, group_sum_, scale_;
};

/// Rows of x in int8 in tiles, as BlockJob has them: for each 16 rows, tiles of 64 k side by side.
class ActivationTiles {
 public:
  ActivationTiles(const Panels& panels, int64_t m);
  void set(int64_t row, const float* x);
  int64_t row_tiles() const { return row_tiles_; }
  int64_t k_tiles() const { return k_tiles_; }
  int64_t tile_stride() const { return k_tiles_ * kTileRows * kTileBytes; }
  const int8_t* tiles(int64_t row_tile, int64_t k_tile) const {
    return q_.data() + (row_tile * k_tiles_ + k_tile) * kTileRows * kTileBytes;
  }
  /// -128 * sum of the activations in the block-th kBlockDepth k, [16 * row_tiles].
  const int32_t* start(int64_t block) const {
    return start_.data() + block * row_tiles_ * kTileRows;
  }
  float scale(int64_t row) const { return scale_[static_cast<size_t>(row)]; }

 private:
  const int64_t k_, row_tiles_, k_tiles_;
  std::vector<int8_t> q_;
  std::vector<int32_t> start_;
  std::vector<float> scale_;
};

}  // namespace fewbit::few_bit
