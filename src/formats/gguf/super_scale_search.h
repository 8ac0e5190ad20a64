#pragma once
// Super-blocks whose sub-blocks have an integer scale each, all under one 16-bit float:
//
//   x ~ d s[j] grid(x / (d s[j]))        j: the sub-block, s[j] in [low, high], low = -high - 1
//
// First each sub-block finds its own best scale. Then, in turn: under a given d each s[j] becomes
// the one of the integers around that scale which errs least, and d the least-squares fit to all
// codes.

#include <span>

#include "formats/gguf/scale_search.h"

namespace fewbit::formats::gguf {
namespace {

template <int SubElems, int Subs, typename Grid>
class SuperScaleSearch {
 public:
  static constexpr int kGroups = Subs / kLanes;

  /// x, w [Subs * SubElems]; `positions` as ScaleSearch::run takes them.
  SuperScaleSearch(const float* x, const float* w, Grid grid, std::span<const float> positions,
                   float low)
      : low_(low), high_(-low - 1) {
    for (int g = 0; g < kGroups; ++g) {
      to_lanes<SubElems>(x + g * kLanes * SubElems, x_[g]);
      to_lanes<SubElems>(w + g * kLanes * SubElems, w_[g]);
      fits_[g] = ScaleSearch<SubElems, Grid>(x_[g], w_[g], grid);
      fits_[g].run(positions, 2);
    }
  }
  SuperScaleSearch(const SuperScaleSearch&) = delete;

  /// `reach`: how many integers on either side of the nearest are tried.
  void run(int rounds, int reach) {
    float extreme = 0;
    for (int g = 0; g < kGroups; ++g) {
      for (int k = 0; k < kLanes; ++k) {
        const float scale = fits_[g].scale()[k];
        if (std::fabs(scale) > std::fabs(extreme)) extreme = scale;
      }
    }
    Half d = Half::from_float(extreme / low_);
    for (int round = 0; round < rounds; ++round) {
      const float error = choose(d.to_float(), reach);
      if (error < least_) {
        least_ = error;
        best_d_ = d;
        std::copy(chosen_, chosen_ + kGroups, best_);
      }
      d = refit(d.to_float());
    }
  }

  Half d() const { return best_d_; }
  /// s[j], each plus `zero`.
  void scales(float zero, uint8_t* out) const {
    for (int j = 0; j < Subs; ++j) {
      out[j] = static_cast<uint8_t>(static_cast<int>(best_[j / kLanes][j % kLanes] + zero));
    }
  }
  /// The values on the grid [Subs * SubElems], each plus `zero`.
  void codes(float zero, uint8_t* out) const {
    for (int g = 0; g < kGroups; ++g) {
      Lanes q[SubElems];
      fits_[g].codes(best_d_.to_float() * best_[g], q);
      from_lanes<SubElems>(q, zero, out + g * kLanes * SubElems);
    }
  }

 private:
  float choose(float d, int reach) {
    float total = 0;
    const float over_d = d != 0 ? 1 / d : 0;
    for (int g = 0; g < kGroups; ++g) {
      const Lanes centre = nearest(clamp(fits_[g].scale() * over_d, low_, high_));
      Lanes least = splat(__builtin_inff());
      for (int step = -reach; step <= reach; ++step) {
        const Lanes s = clamp(centre + static_cast<float>(step), low_, high_);
        const Lanes error = fits_[g].error(d * s);
        const LaneMask better = error < least;
        least = pick(better, error, least);
        chosen_[g] = pick(better, s, chosen_[g]);
      }
      for (int k = 0; k < kLanes; ++k) total += least[k];
    }
    return total;
  }

  Half refit(float d) const {
    double sxa = 0;
    double saa = 0;
    for (int g = 0; g < kGroups; ++g) {
      const auto sums = fits_[g].sums(d * chosen_[g]);
      for (int k = 0; k < kLanes; ++k) {
        const double s = chosen_[g][k];
        sxa += s * static_cast<double>(sums.sxq[k]);
        saa += s * s * static_cast<double>(sums.sqq[k]);
      }
    }
    return Half::from_float(saa > 0 ? static_cast<float>(sxa / saa) : 0.0F);
  }

  float low_;
  float high_;
  Lanes x_[kGroups][SubElems];
  Lanes w_[kGroups][SubElems];
  ScaleSearch<SubElems, Grid> fits_[kGroups];
  Lanes chosen_[kGroups] = {};
  Lanes best_[kGroups] = {};
  Half best_d_;
  float least_ = __builtin_inff();
};

}  // namespace
}  // namespace fewbit::formats::gguf
