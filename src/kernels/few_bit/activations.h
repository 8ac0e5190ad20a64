#pragma once
// Activations as the kernels take them. Both kinds keep their memory from one product to the next.

#include <cstdint>
#include <vector>

#include "kernels/few_bit/few_bit_core.h"

namespace fewbit::few_bit {

inline constexpr int64_t kBlockDepth = 1024;  ///< k that share a scale of expanded weights

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
  std::vector<float> float_start_, group_sum_, scale_;
};

/// Rows of x in int8 in tiles, as BlockJob has them: for each 16 rows, tiles of 64 k side by side.
class ActivationTiles {
 public:
  void reset(const Row& kernels, const Panels& panels, int64_t m);
  void set(int64_t row, const float* x);
  int64_t row_tiles() const { return row_tiles_; }
  int64_t k_tiles() const { return k_tiles_; }
  int64_t tile_stride() const { return k_tiles_ * kTileRows * kTileBytes; }
  const int8_t* tiles(int64_t row_tile, int64_t k_tile) const {
    return q_.data() + (row_tile * k_tiles_ + k_tile) * kTileRows * kTileBytes;
  }
  /// -Row::byte_zero * sum of the activations in the block-th kBlockDepth k, [16 * row_tiles].
  const int32_t* start(int64_t block) const {
    return start_.data() + block * row_tiles_ * kTileRows;
  }
  float scale(int64_t row) const { return scale_[static_cast<size_t>(row)]; }

 private:
  const Row* kernels_ = nullptr;
  int64_t k_ = 0, row_tiles_ = 0, k_tiles_ = 0;
  std::vector<int8_t> q_;
  std::vector<int32_t> start_;
  std::vector<float> scale_;
};

}  // namespace fewbit::few_bit
