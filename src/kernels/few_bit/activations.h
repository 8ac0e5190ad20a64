#pragma once
// Activations as the kernels take them. Both kinds keep their memory from one product to the next.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/few_bit/few_bit_core.h"

namespace fewbit::few_bit {

inline constexpr int64_t kTilesPerBlock = kBlockDepth / kTileBytes;

/// Rows of x one after the other, in int8 or float32, and their sums. After reset, rows may be set
/// by many threads.
class ActivationRows {
 public:
  void reset(const Row& kernels, const Panels& panels, FewBitActivations kind, int64_t m);
  void set(int64_t row, const float* x);
  Activations all() const;

 private:
  void set_bytes(int64_t row, const float* x);
  void set_floats(int64_t row, const float* x);

  const Row* kernels_ = nullptr;
  const Layout* layout_ = nullptr;
  FewBitActivations kind_ = FewBitActivations::kInt8;
  int64_t k_ = 0;
  std::vector<int8_t> q_;
  std::vector<float> x_;
  std::vector<int32_t> start_;
  std::vector<float> group_sum_, scale_;
};

/// Rows of x in int8 in tiles, as BlockJob has them: for each kBlockDepth k and each 16 rows, tiles
/// of 64 k side by side.
class ActivationTiles {
 public:
  void reset(const Row& kernels, const Panels& panels, int64_t m);
  void set(int64_t row, const float* x);
  int64_t row_tiles() const { return row_tiles_; }
  int64_t k_tiles() const { return k_tiles_; }
  int64_t blocks() const { return (k_tiles_ + kTilesPerBlock - 1) / kTilesPerBlock; }
  /// Of a block: kTilesPerBlock, or what is left for the last.
  int64_t tiles_in(int64_t block) const {
    return std::min(kTilesPerBlock, k_tiles_ - block * kTilesPerBlock);
  }
  int64_t tile_stride(int64_t block) const { return tiles_in(block) * kTileRows * kTileBytes; }
  const int8_t* tiles(int64_t block, int64_t row_tile) const {
    return q_.data<int8_t>() + offset(block, row_tile);
  }
  /// -Row::byte_zero * sum of the activations in the block-th kBlockDepth k, [16 * row_tiles].
  const int32_t* start(int64_t block) const {
    return start_.data() + block * row_tiles_ * kTileRows;
  }
  const float* scales() const { return scale_.data(); }

 private:
  int64_t offset(int64_t block, int64_t row_tile) const {
    return block * row_tiles_ * kTilesPerBlock * kTileRows * kTileBytes +
           row_tile * tile_stride(block);
  }
  int8_t* tile_at(int64_t block, int64_t row_tile) {
    return q_.data<int8_t>() + offset(block, row_tile);
  }

  const Row* kernels_ = nullptr;
  int64_t k_ = 0, row_tiles_ = 0, k_tiles_ = 0;
  Tensor q_;  // on huge pages: tiles are read from the caches in long runs
  std::vector<int32_t> start_;
  std::vector<float> scale_;
};

}  // namespace fewbit::few_bit
