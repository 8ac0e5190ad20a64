#include "methods/round_to_nearest.h"

#include <algorithm>
#include <cmath>

namespace fewbit {
namespace {

struct Grid {
  float scale;
  int32_t zero;
  int32_t low, high;
};

int32_t code_of(float w, const Grid& g) {
  float q = std::nearbyintf(w / g.scale) + static_cast<float>(g.zero);
  return static_cast<int32_t>(std::clamp(q, static_cast<float>(g.low), static_cast<float>(g.high)));
}

double squared_error(std::span<const float> w, const Grid& g) {
  double sum = 0;
  for (float x : w) {
    double e = x - static_cast<double>(g.scale) * (code_of(x, g) - g.zero);
    sum += e * e;
  }
  return sum;
}

Grid grid_for(float low, float high, const RoundToNearestOptions& o) {
  int32_t top = (1 << (o.bits - 1)) - 1;
  if (o.symmetric) {
    float m = std::max(-low, high);
    float scale = m / static_cast<float>(top);
    // A magnitude so small that the scale would be zero or denormal codes as zeros.
    if (!(scale >= 1e-30F)) scale = 1.0F / static_cast<float>(top);
    return {scale, 0, -top, top};
  }
  int32_t bottom = -top - 1;
  // In double: the difference of two floats may lie outside float.
  auto scale = static_cast<float>((static_cast<double>(high) - low) / (top - bottom));
  if (!(scale >= 1e-30F)) scale = 1.0F / static_cast<float>(top - bottom);
  float zero = std::nearbyintf(static_cast<float>(bottom) - low / scale);
  zero = std::clamp(zero, static_cast<float>(bottom), static_cast<float>(top));
  return {scale, static_cast<int32_t>(zero), bottom, top};
}

Grid fit(std::span<const float> w, const RoundToNearestOptions& o) {
  float low = 0;
  float high = 0;
  for (float x : w) {
    low = std::min(low, x);
    high = std::max(high, x);
  }
  Grid best = grid_for(low, high, o);
  if (!o.search_scale || (low == 0 && high == 0)) return best;
  // Shrinking the range trades clipping for finer steps; at 8 bits little is to be gained below
  // nine tenths, at fewer bits the optimum lies lower.
  constexpr int kCandidates = 24;
  double least = squared_error(w, best);
  double shortest = o.bits >= 8 ? 0.85 : 0.4;
  for (int i = 1; i <= kCandidates; ++i) {
    auto factor = static_cast<float>(1 - (1 - shortest) * i / kCandidates);
    Grid g = grid_for(low * factor, high * factor, o);
    double e = squared_error(w, g);
    if (e < least) {
      least = e;
      best = g;
    }
  }
  return best;
}

}  // namespace

IntegerCodes round_to_nearest(std::span<const float> weights, int64_t rows, int64_t elems,
                              const RoundToNearestOptions& options) {
  IntegerCodes out;
  out.rows = rows;
  out.elems = elems;
  out.codes.resize(weights.size());
  int64_t grids = options.per_row ? rows : 1;
  out.scale.resize(static_cast<size_t>(grids));
  out.zero.resize(static_cast<size_t>(grids));
  int64_t per_grid = options.per_row ? elems : rows * elems;
  std::vector<double> errors(static_cast<size_t>(grids));
#pragma omp parallel for schedule(static) if (grids > 1 && rows * elems > (1 << 14))
  for (int64_t g = 0; g < grids; ++g) {
    std::span<const float> w =
        weights.subspan(static_cast<size_t>(g * per_grid), static_cast<size_t>(per_grid));
    Grid grid = fit(w, options);
    out.scale[static_cast<size_t>(g)] = grid.scale;
    out.zero[static_cast<size_t>(g)] = grid.zero;
    errors[static_cast<size_t>(g)] = squared_error(w, grid);
    for (int64_t i = 0; i < per_grid; ++i) {
      out.codes[static_cast<size_t>(g * per_grid + i)] =
          static_cast<int8_t>(code_of(w[static_cast<size_t>(i)], grid));
    }
  }
  for (double e : errors) out.squared_error += e;
  return out;
}

}  // namespace fewbit
