#pragma once
// Interpolation along one axis: for each output position the input positions that enter, and their
// weights. Resize is separable, so an N-d resize is one of these per axis.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit::ops {

enum class ResizeMode { kNearest, kLinear, kCubic };

struct ResizeOptions {
  ResizeMode mode = ResizeMode::kNearest;
  std::string coordinates = "half_pixel";      ///< coordinate_transformation_mode
  std::string nearest = "round_prefer_floor";  ///< nearest_mode
  double cubic_a = -0.75;
  bool exclude_outside = false;
  bool antialias = false;
  double extrapolation = 0;
};

/// One axis: `in` elements become `out`; `scale` is out / in before rounding.
struct ResizeAxis {
  size_t axis;
  int64_t in, out;
  double scale;
  double roi_start = 0, roi_end = 1;
};

struct ResizeWeights {
  int64_t taps = 0;
  std::vector<int64_t> index;  ///< [out, taps], clamped to the input
  std::vector<double> weight;  ///< [out, taps]
  std::vector<bool> outside;   ///< [out]: takes the extrapolation value; empty if none does
};

/// Error: an unknown coordinate_transformation_mode or nearest_mode.
Result<ResizeWeights> resize_weights(const Node& node, const ResizeOptions& options,
                                     const ResizeAxis& axis);

}  // namespace fewbit::ops
