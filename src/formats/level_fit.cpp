#include "formats/level_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fewbit::formats {
namespace {

constexpr float kSmallest = std::numeric_limits<float>::min();

// Squares of what lies outside could leave float: there the largest magnitude decides.
constexpr float kLeastSearched = 1e-15F;
constexpr float kMostSearched = 1e15F;

struct Extremes {
  Lanes low, high;
};

Extremes extremes_of(const FitTask& task, const BlockTile& tile) {
  Extremes e;
  level_kernels().extremes(tile, e.low, e.high);
  if (task.joined) {
    e.low.v.fill(*std::min_element(e.low.v.begin(), e.low.v.end()));
    e.high.v.fill(*std::max_element(e.high.v.begin(), e.high.v.end()));
  }
  return e;
}

bool holds_zero(const LevelGrid& grid) {
  if (grid.kind != LevelGrid::Kind::kTable) return true;
  return std::find(grid.levels.begin(), grid.levels.begin() + grid.count, 0.0F) !=
         grid.levels.begin() + grid.count;
}

// A scale that can be divided by.
float usable(float s) {
  const float magnitude = std::clamp(std::fabs(s), kSmallest, 0x1p126F);
  return s < 0 ? -magnitude : magnitude;
}

float rounded(const FitTask& task, float s) {
  return usable(round_scale(task.scale, s));
}

// What a block of zeros gets: never 0.
float scale_of_zeros(const FitTask& task) {
  return round_scale(task.scale, holds_zero(*task.grid) ? 1.0F : 0.0F);
}

class Search {
 public:
  Search(const FitTask& task, const BlockTile& tile)
      : task_(task), grid_(*task.grid), tile_(tile), extremes_(extremes_of(task, tile)) {
    best_.error.v.fill(std::numeric_limits<float>::infinity());
  }

  TileFit run() {
    plain();
    if (!task_.search || !searchable()) return best_;
    if (task_.scale == ScaleType::kE8M0) {
      powers();
    } else if (grid_.zero_point) {
      with_zero_points();
    } else {
      directions();
    }
    return best_;
  }

 private:
  bool searchable() const {
    bool any = false;
    for (size_t l = 0; l < kLanes; ++l) {
      const float magnitude = std::max(extremes_.high[l], -extremes_.low[l]);
      if (magnitude == 0) continue;
      if (magnitude < kLeastSearched || magnitude > kMostSearched) return false;
      any = true;
    }
    return any;
  }

  float magnitude(size_t l) const { return std::max(extremes_.high[l], -extremes_.low[l]); }

  // The specification's rule: 2^(floor(log2 magnitude) - exponent of the largest level), in the
  // range of e8m0. Below, scale * unit stays what float can divide by.
  float power_below(float largest) const {
    const int exponent = std::ilogb(largest) - std::ilogb(grid_.highest() * grid_.unit);
    return std::ldexp(1.0F, std::clamp(exponent, -127 - std::ilogb(grid_.unit), 127));
  }

  // The largest magnitude alone.
  void plain() {
    Lanes scale, zero;
    const Lanes means = grid_.plain_mean ? mean_magnitudes() : Lanes{};
    for (size_t l = 0; l < kLanes; ++l) {
      zero[l] = static_cast<float>(grid_.symmetric_zero());
      const float low = std::min(extremes_.low[l], 0.0F);
      const float high = std::max(extremes_.high[l], 0.0F);
      const float top = static_cast<float>((1 << grid_.bits) - 1);
      float ideal = magnitude(l) / (grid_.highest() * grid_.unit);
      // Halves: the difference of two floats may lie outside float.
      if (grid_.zero_point) ideal = (high * 0.5F - low * 0.5F) / (top * 0.5F);
      if (grid_.plain_mean) ideal = means[l];
      best_.ideal[l] = ideal;
      if (magnitude(l) == 0) {
        scale[l] = scale_of_zeros(task_);
      } else if (task_.scale == ScaleType::kE8M0) {
        scale[l] = power_below(magnitude(l));
      } else {
        scale[l] = rounded(task_, ideal);
      }
      if (grid_.zero_point) {
        zero[l] = std::clamp(std::nearbyintf(-low / scale[l]), 0.0F, top);
      }
    }
    take(scale, zero, evaluate_tile(task_, tile_, scale, zero, false));
    for (size_t l = 0; l < kLanes; ++l) {  // also where the error is infinite
      best_.scale[l] = scale[l];
      best_.zero[l] = zero[l];
    }
  }

  // Elements that only fill up a joined tile have no weight and are left out.
  Lanes mean_magnitudes() const {
    std::array<double, kLanes> sum{}, count{};
    for (int64_t j = 0; j < tile_.n; ++j) {
      for (size_t l = 0; l < kLanes; ++l) {
        const auto at = static_cast<size_t>(j) * kLanes + l;
        if (task_.joined && tile_.weight != nullptr && tile_.weight[at] == 0) continue;
        sum[l] += std::fabs(tile_.x[at]);
        count[l] += 1;
      }
    }
    Lanes mean;
    for (size_t l = 0; l < kLanes; ++l)
      mean[l] = static_cast<float>(sum[l] / std::max(count[l], 1.0));
    if (task_.joined) {
      double all = 0, counted = 0;
      for (size_t l = 0; l < kLanes; ++l) {
        all += sum[l];
        counted += count[l];
      }
      mean.v.fill(static_cast<float>(all / std::max(counted, 1.0)));
    }
    return mean;
  }

  // Keeps what is better, lane by lane.
  void take(const Lanes& scale, const Lanes& zero, const LaneErrors& e) {
    for (size_t l = 0; l < kLanes; ++l) {
      const bool better = e.error[l] < best_.error[l];
      best_.error[l] = better ? e.error[l] : best_.error[l];
      best_.scale[l] = better ? scale[l] : best_.scale[l];
      best_.zero[l] = better ? zero[l] : best_.zero[l];
    }
  }

  // Tries base * factor for all factors; the lane-wise best parabola goes to refine().
  void sweep(const Lanes& base, const Lanes& zero, Lanes& scale_out, Lanes& zero_out,
             Lanes& error_out) {
    const bool moments = grid_.bits < 8;
    for (int k = 0; k < grid_.candidates; ++k) {
      const float factor = grid_.search_low + (grid_.search_high - grid_.search_low) *
                                                  static_cast<float>(k) /
                                                  static_cast<float>(grid_.candidates - 1);
      Lanes scale;
      for (size_t l = 0; l < kLanes; ++l) scale[l] = usable(base[l] * factor);
      const LaneErrors e = evaluate_tile(task_, tile_, scale, zero, moments);
      for (size_t l = 0; l < kLanes; ++l) {  // without branches, so that it becomes vector code
        const float step = moments ? e.gradient[l] / std::max(e.curvature[l], kSmallest) : 0.0F;
        const float error = moments ? e.error[l] - step * e.gradient[l] : e.error[l];
        const bool better = error < error_out[l];
        error_out[l] = better ? error : error_out[l];
        scale_out[l] = better ? scale[l] + step : scale_out[l];
        zero_out[l] = better ? zero[l] : zero_out[l];
      }
    }
  }

  // Snaps at `scale`, rounded to the type, and refits. `error` is that of the sweep.
  void refine(const Lanes& start, const Lanes& zero, const Lanes& error) {
    Lanes scale = start;
    if (grid_.bits == 8 && task_.scale == ScaleType::kFloat32) {  // nothing to round or to refit
      take(scale, zero, {error, {}, {}});
      return;
    }
    const int rounds = grid_.bits < 8 ? 3 : 1;
    for (int round = 0; round < rounds; ++round) {
      for (size_t l = 0; l < kLanes; ++l) {
        scale[l] = magnitude(l) == 0 ? best_.scale[l] : rounded(task_, scale[l]);
      }
      const bool last = round + 1 == rounds;
      const LaneErrors e = evaluate_tile(task_, tile_, scale, zero, !last);
      take(scale, zero, e);
      if (last) return;
      for (size_t l = 0; l < kLanes; ++l) {
        if (e.curvature[l] > 0) scale[l] += e.gradient[l] / e.curvature[l];
      }
    }
  }

  void directions() {
    Lanes scale = best_.scale;
    Lanes zero = best_.zero;
    Lanes error;
    error.v.fill(std::numeric_limits<float>::infinity());
    const float lowest = grid_.lowest() * grid_.unit;
    const float highest = grid_.highest() * grid_.unit;
    const bool asymmetric =
        lowest != -highest || (grid_.kind == LevelGrid::Kind::kTable && holds_zero(grid_));
    Lanes toward_highest, toward_lowest;
    for (size_t l = 0; l < kLanes; ++l) {
      const float extremum =
          extremes_.high[l] >= -extremes_.low[l] ? extremes_.high[l] : extremes_.low[l];
      toward_highest[l] = extremum / highest;
      toward_lowest[l] = extremum / lowest;
    }
    if (may_be_negative(task_.scale) && !task_.positive && asymmetric) {
      sweep(toward_lowest, best_.zero, scale, zero, error);
      // Of 256 codes one more or less at the end is worth nothing.
      if (grid_.bits < 8) sweep(toward_highest, best_.zero, scale, zero, error);
    } else {
      sweep(covering_scale(task_, tile_), best_.zero, scale, zero, error);
    }
    refine(scale, zero, error);
  }

  void with_zero_points() {
    Lanes scale = best_.scale;
    Lanes zero = best_.zero;
    Lanes error;
    error.v.fill(std::numeric_limits<float>::infinity());
    const float top = static_cast<float>((1 << grid_.bits) - 1);
    const int reach = grid_.bits < 6 ? 1 : 0;
    const Lanes middle = best_.zero;
    Lanes base;
    for (size_t l = 0; l < kLanes; ++l) base[l] = best_.ideal[l];
    for (int offset = -reach; offset <= reach; ++offset) {
      Lanes z;
      for (size_t l = 0; l < kLanes; ++l) {
        z[l] = std::clamp(middle[l] + static_cast<float>(offset), 0.0F, top);
      }
      sweep(base, z, scale, zero, error);
    }
    refine(scale, zero, error);
  }

  // The power of two that just covers the block, and those below it.
  void powers() {
    const Lanes covering = covering_scale(task_, tile_);
    for (int below = 0; below <= 2; ++below) {
      Lanes scale;
      for (size_t l = 0; l < kLanes; ++l) {
        int exponent = 0;
        const float mantissa = std::frexp(covering[l], &exponent);
        if (mantissa == 0.5F) --exponent;  // a power of two already
        scale[l] =
            covering[l] == 0 ? best_.scale[l] : rounded(task_, std::ldexp(1.0F, exponent - below));
      }
      take(scale, best_.zero, evaluate_tile(task_, tile_, scale, best_.zero, false));
    }
  }

  const FitTask& task_;
  const LevelGrid& grid_;
  const BlockTile& tile_;
  Extremes extremes_;
  TileFit best_;
};

// Sums over the lanes, in double and in order.
void join(Lanes& lanes) {
  double sum = 0;
  for (float x : lanes.v) sum += x;
  lanes.v.fill(static_cast<float>(sum));
}

}  // namespace

LaneErrors evaluate_tile(const FitTask& task, const BlockTile& tile, const Lanes& scale,
                         const Lanes& zero, bool moments) {
  // Float sums of bounded length, so that long blocks do not lose their last bits.
  constexpr int64_t kChunk = 2048;
  LaneErrors total;
  for (int64_t begin = 0; begin < tile.n; begin += kChunk) {
    BlockTile part = tile;
    part.x += begin * kLanes;
    part.n = std::min(kChunk, tile.n - begin);
    if (tile.weight != nullptr) part.weight += tile.weight_per_lane ? begin * kLanes : begin;
    LaneErrors e;
    level_kernels().evaluate(*task.grid, part, scale, zero, moments, e);
    for (size_t l = 0; l < kLanes; ++l) {
      total.error[l] += e.error[l];
      total.gradient[l] += e.gradient[l];
      total.curvature[l] += e.curvature[l];
    }
  }
  if (task.joined) {
    join(total.error);
    join(total.gradient);
    join(total.curvature);
  }
  return total;
}

Lanes covering_scale(const FitTask& task, const BlockTile& tile) {
  const Extremes e = extremes_of(task, tile);
  Lanes scale;
  for (size_t l = 0; l < kLanes; ++l) {
    scale[l] = std::max({0.0F, e.high[l] / (task.grid->highest() * task.grid->unit),
                         e.low[l] / (task.grid->lowest() * task.grid->unit)});
  }
  return scale;
}

TileFit fit_tile(const FitTask& task, const BlockTile& tile) {
  return Search(task, tile).run();
}

TileFit pick_scale(const FitTask& task, const BlockTile& tile, std::span<const Lanes> candidates) {
  TileFit best;
  best.scale = candidates.front();
  best.zero.v.fill(static_cast<float>(task.grid->symmetric_zero()));
  best.error.v.fill(std::numeric_limits<float>::infinity());
  for (const Lanes& scale : candidates) {
    const LaneErrors e = evaluate_tile(task, tile, scale, best.zero, false);
    for (size_t l = 0; l < kLanes; ++l) {
      const bool better = e.error[l] < best.error[l];
      best.error[l] = better ? e.error[l] : best.error[l];
      best.scale[l] = better ? scale[l] : best.scale[l];
    }
  }
  return best;
}

}  // namespace fewbit::formats
