#pragma once
// The inner loops of the scale search: 16 blocks side by side, one in each lane of a register, so
// that nothing is ever summed across lanes and every instruction set gives the same bits. One row
// per instruction set; all are the same code (level_kernels_impl.h), compiled anew.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "formats/level_grid.h"

namespace fewbit::formats {

inline constexpr int kLanes = 16;

/// One number per lane.
struct alignas(64) Lanes {
  std::array<float, kLanes> v{};
  float& operator[](size_t i) { return v[i]; }
  float operator[](size_t i) const { return v[i]; }
};

/// 16 blocks of n elements. Element j of lane l is x[j * 16 + l]; x is aligned to 64 bytes.
struct BlockTile {
  const float* x = nullptr;
  int64_t n = 0;
  /// How much each squared error counts: null (1), one per element [n], or [n][16] (aligned).
  const float* weight = nullptr;
  bool weight_per_lane = false;
};

/// Of each lane, with q = level nearest to x / scale:
struct LaneErrors {
  Lanes error;      ///< sum w (x - s q)^2
  Lanes gradient;   ///< sum w q (x - s q): 0 where s is the least-squares scale of these levels
  Lanes curvature;  ///< sum w q^2
};

struct LevelKernels {
  std::string_view name;
  bool runs_here;
  /// No NaN and no infinity among `count` values.
  bool (*all_finite)(const float* values, int64_t count);
  /// tile[j * 16 + l] = rows[l * stride + j], 0 for l >= row_count.
  void (*load_tile)(const float* rows, int64_t stride, int row_count, int64_t n, float* tile);
  /// Least and largest element of each lane.
  void (*extremes)(const BlockTile& tile, Lanes& low, Lanes& high);
  /// `zero`: of integer grids. Without `moments` only `error` is set.
  void (*evaluate)(const LevelGrid& grid, const BlockTile& tile, const Lanes& scale,
                   const Lanes& zero, bool moments, LaneErrors& out);
  /// codes[l * stride + j] of the first lane_count lanes.
  void (*codes)(const LevelGrid& grid, const BlockTile& tile, const Lanes& scale, const Lanes& zero,
                int lane_count, int64_t stride, uint8_t* codes);
};

/// Slowest first; the last that runs here is used.
std::span<const LevelKernels> level_kernel_table();
const LevelKernels& level_kernels();

// Defined by level_kernels_{base,avx2,avx512}.cpp.
LevelKernels level_kernels_base();
LevelKernels level_kernels_avx2();
LevelKernels level_kernels_avx512();

}  // namespace fewbit::formats
