#pragma once
// Scales of least weighted squared error, kLanes blocks at a time.
//
// For fixed codes q the best scale is a quotient of sums (least squares):
//
//   x ~ d q        d = Sxq / Sqq,  which lowers the error by the gain Sxq^2 / Sqq
//   x ~ d q + m    the two normal equations; gain = d Sxq + m Sx
//
// with Sab = sum w a b, summed over even and odd elements apart (two sums need not wait for each
// other). Codes for fixed scales are the nearest. So: start from many scales around
// the one that just covers the block, fit each, keep the best, and let codes and scales follow each
// other (each step can only lower the error, as in Lloyd's algorithm).

#include <algorithm>
#include <array>
#include <span>

#include "formats/gguf/lanes.h"
#include "numerics/half.h"

namespace fewbit::formats::gguf {
namespace {

/// Below this no 16-bit scale can tell a block from zeros.
constexpr float kNegligible = 1e-12F;

/// The 16-bit floats nearest to `values`, or `step` of them further from zero; at most the largest.
inline Lanes half_near(Lanes values, int step = 0) {
  for (int k = 0; k < kLanes; ++k) {
    const Half half = Half::from_float(values[k]);
    const int bits = std::clamp((half.bits & 0x7fff) + step, 0, 0x7bff);
    values[k] = Half{static_cast<uint16_t>((half.bits & 0x8000) | bits)}.to_float();
  }
  return values;
}

/// Integers from low to high.
struct UniformGrid {
  float low;
  float high;
  Lanes operator()(Lanes v) const { return clamp(nearest(v), low, high); }
};

/// Positions for ScaleSearch::run on the grid [-n, n - 1]: the extreme value at either end (so with
/// a scale of either sign), each `inside` steps from it; negative: beyond it, cut off.
template <size_t Count>
constexpr std::array<float, 2 * Count> both_ends(float n, const std::array<float, Count>& inside) {
  std::array<float, 2 * Count> positions{};
  for (size_t i = 0; i < Count; ++i) {
    positions[2 * i] = -(n - inside[i]);
    positions[2 * i + 1] = n - 1 - inside[i];
  }
  return positions;
}

/// The value of largest magnitude (the first, of several) among those that count.
template <int N>
Lanes signed_extreme(const Lanes* x, const Lanes* w) {
  Lanes largest = splat(0);
  Lanes extreme = splat(0);
  for (int i = 0; i < N; ++i) {
    const LaneMask more = (magnitude(x[i]) > largest) & (w[i] > 0);
    largest = pick(more, magnitude(x[i]), largest);
    extreme = pick(more, x[i], extreme);
  }
  return extreme;
}

/// x ~ scale * grid(x / scale), for N elements in each lane.
template <int N, typename Grid>
class ScaleSearch {
 public:
  ScaleSearch() = default;
  ScaleSearch(const Lanes* x, const Lanes* w, Grid grid) : x_(x), w_(w), grid_(grid) {}

  /// Tries the scales that put the extreme value at each of `positions` on the grid, then refits.
  void run(std::span<const float> positions, int refits) {
    const Lanes extreme = signed_extreme<N>(x_, w_);
    const LaneMask usable = magnitude(extreme) > kNegligible;
    const Lanes over_extreme = pick(usable, 1.0F / pick(usable, extreme, splat(1)), splat(0));
    for (const float position : positions) try_inverse(position * over_extreme);
    for (int i = 0; i < refits; ++i) try_inverse(inverse_or_zero(scale_));
  }

  /// Fits the codes that this inverse of a scale gives; keeps the fit if it is the best.
  void try_inverse(Lanes inverse) {
    const Sums s = sums_of(inverse);
    const Lanes fitted = s.sxq / larger(s.sqq, splat(1e-30F));
    const Lanes gain = fitted * s.sxq;
    const LaneMask better = gain > gain_;
    gain_ = pick(better, gain, gain_);
    scale_ = pick(better, fitted, scale_);
  }

  /// sum w (x - scale q)^2 with the nearest codes.
  Lanes error(Lanes scale) const {
    const Lanes inverse = inverse_or_zero(scale);
    Lanes sums[2] = {};
    for (int i = 0; i < N; i += 2) {
      for (int h = 0; h < 2; ++h) {
        const Lanes off = x_[i + h] - scale * grid_(x_[i + h] * inverse);
        sums[h] += w_[i + h] * off * off;
      }
    }
    return sums[0] + sums[1];
  }

  /// The 16-bit scales near the best one that err least.
  Lanes half_scale() const {
    Lanes best = splat(0);
    Lanes best_error = splat(__builtin_inff());
    for (const int step : {0, -1, 1}) {
      const Lanes candidate = half_near(scale_, step);
      const Lanes e = error(candidate);
      const LaneMask better = e < best_error;
      best_error = pick(better, e, best_error);
      best = pick(better, candidate, best);
    }
    return best;
  }

  /// Sums over the codes that a scale gives.
  struct Sums {
    Lanes sqq, sxq;
  };
  Sums sums(Lanes scale) const { return sums_of(inverse_or_zero(scale)); }

  Lanes scale() const { return scale_; }

  void codes(Lanes scale, Lanes* out) const {
    const Lanes inverse = inverse_or_zero(scale);
    for (int i = 0; i < N; ++i) out[i] = grid_(x_[i] * inverse);
  }

 private:
  Sums sums_of(Lanes inverse) const {
    Sums s[2] = {};
    for (int i = 0; i < N; i += 2) {
      for (int h = 0; h < 2; ++h) {
        const Lanes q = grid_(x_[i + h] * inverse);
        const Lanes wq = w_[i + h] * q;
        s[h].sxq += wq * x_[i + h];
        s[h].sqq += wq * q;
      }
    }
    return {s[0].sqq + s[1].sqq, s[0].sxq + s[1].sxq};
  }

  const Lanes* x_ = nullptr;
  const Lanes* w_ = nullptr;
  Grid grid_ = {};
  Lanes scale_ = splat(0);
  Lanes gain_ = splat(0);
};

/// x ~ scale * q + base with q in [0, top], for N elements in each lane. With `base_below_zero` no
/// base is positive, as formats ask that store its negative without a sign.
template <int N>
class AffineSearch {
 public:
  AffineSearch() = default;
  AffineSearch(const Lanes* x, const Lanes* w, float top, bool base_below_zero)
      : x_(x), w_(w), top_(top), base_below_zero_(base_below_zero) {
    for (int i = 0; i < N; ++i) {
      sw_ += w[i];
      sx_ += w[i] * x[i];
    }
    const Lanes mean = sx_ / larger(sw_, splat(1e-30F));
    base_ = base_below_zero ? smaller(mean, splat(0)) : mean;
    gain_ = base_ * (2.0F * sx_ - base_ * sw_);
  }

  /// Tries each pair of `cuts` at the two ends: so many steps of the grid are cut off the range.
  void run(std::span<const float> cuts, int refits) {
    Lanes low = splat(__builtin_inff());
    Lanes high = splat(-__builtin_inff());
    for (int i = 0; i < N; ++i) {
      low = pick(w_[i] > 0, smaller(low, x_[i]), low);
      high = pick(w_[i] > 0, larger(high, x_[i]), high);
    }
    if (base_below_zero_) low = smaller(low, splat(0));
    const LaneMask usable = high - low > kNegligible;
    low = pick(usable, low, splat(0));
    const Lanes step = pick(usable, high - low, splat(1)) / top_;
    for (const float cut_low : cuts) {
      for (const float cut_high : cuts) {
        const Lanes inverse = (top_ / (top_ - cut_low - cut_high)) / step;
        try_codes(pick(usable, inverse, splat(0)), low + cut_low * step);
      }
    }
    for (int i = 0; i < refits; ++i) try_codes(inverse_or_zero(scale_), base_);
  }

  void try_codes(Lanes inverse, Lanes base) {
    const auto [sq, sqq, sxq] = sums_of(inverse, base);
    const Lanes determinant = sw_ * sqq - sq * sq;
    const LaneMask solvable = determinant > 0;
    const Lanes divisor = pick(solvable, determinant, splat(1));
    Lanes scale = (sw_ * sxq - sx_ * sq) / divisor;
    Lanes fitted = (sqq * sx_ - sq * sxq) / divisor;
    if (base_below_zero_) {
      const LaneMask above = fitted > 0;
      scale = pick(above, sxq / larger(sqq, splat(1e-30F)), scale);
      fitted = pick(above, splat(0), fitted);
    }
    const Lanes gain = scale * sxq + fitted * sx_;
    const LaneMask better = solvable & (gain > gain_);
    gain_ = pick(better, gain, gain_);
    scale_ = pick(better, scale, scale_);
    base_ = pick(better, fitted, base_);
  }

  /// What is left of x after a scale's share, with the codes for the base found:
  /// sum w (x - scale q - base)^2 = square - base (2 first - base sw), least at base = first / sw.
  struct Rest {
    Lanes first;   ///< sum w (x - scale q)
    Lanes square;  ///< sum w (x - scale q)^2
  };
  Rest rest(Lanes scale) const {
    const Lanes inverse = inverse_or_zero(scale);
    const Lanes shift = -base_ * inverse;
    Rest r[2] = {};
    for (int i = 0; i < N; i += 2) {
      for (int h = 0; h < 2; ++h) {
        const Lanes off = x_[i + h] - scale * clamp(nearest(x_[i + h] * inverse + shift), 0, top_);
        const Lanes woff = w_[i + h] * off;
        r[h].first += woff;
        r[h].square += woff * off;
      }
    }
    return {r[0].first + r[1].first, r[0].square + r[1].square};
  }
  Lanes base_for(Lanes scale) const { return rest(scale).first / larger(sw_, splat(1e-30F)); }

  Lanes error(Lanes scale, Lanes base) const {
    const Lanes inverse = inverse_or_zero(scale);
    const Lanes shift = -base * inverse;
    Lanes sums[2] = {};
    for (int i = 0; i < N; i += 2) {
      for (int h = 0; h < 2; ++h) {
        const Lanes q = clamp(nearest(x_[i + h] * inverse + shift), 0, top_);
        const Lanes off = x_[i + h] - (scale * q + base);
        sums[h] += w_[i + h] * off * off;
      }
    }
    return sums[0] + sums[1];
  }

  void codes(Lanes scale, Lanes base, Lanes* out) const {
    const Lanes inverse = inverse_or_zero(scale);
    const Lanes shift = -base * inverse;
    for (int i = 0; i < N; ++i) out[i] = clamp(nearest(x_[i] * inverse + shift), 0, top_);
  }

  /// Sums over the codes that a scale and a base give.
  struct Sums {
    Lanes sq, sqq, sxq;
  };
  Sums sums(Lanes scale, Lanes base) const { return sums_of(inverse_or_zero(scale), base); }

  Lanes sx() const { return sx_; }
  Lanes sw() const { return sw_; }
  Lanes scale() const { return scale_; }
  Lanes base() const { return base_; }

 private:
  Sums sums_of(Lanes inverse, Lanes base) const {
    const Lanes shift = -base * inverse;
    Sums s[2] = {};
    for (int i = 0; i < N; i += 2) {
      for (int h = 0; h < 2; ++h) {
        const Lanes q = clamp(nearest(x_[i + h] * inverse + shift), 0, top_);
        const Lanes wq = w_[i + h] * q;
        s[h].sq += wq;
        s[h].sqq += wq * q;
        s[h].sxq += wq * x_[i + h];
      }
    }
    return {s[0].sq + s[1].sq, s[0].sqq + s[1].sqq, s[0].sxq + s[1].sxq};
  }

  const Lanes* x_ = nullptr;
  const Lanes* w_ = nullptr;
  float top_ = 0;
  bool base_below_zero_ = false;
  Lanes sw_ = splat(0);
  Lanes sx_ = splat(0);
  Lanes scale_ = splat(0);
  Lanes base_ = splat(0);
  Lanes gain_ = splat(0);
};

}  // namespace
}  // namespace fewbit::formats::gguf
