#pragma once
// How ggml's reference quantizers fit the scales of small groups, kLanes groups at a time: the same
// float operations in the same order as ggml-org/llama.cpp, ggml/src/ggml-quants.c does them for
// one group, so the scales agree to the last bit. Not the best fit: scale_search.h has that.

#include <span>

#include "formats/gguf/lanes.h"

namespace fewbit::formats::gguf {
namespace {

/// ggml takes groups whose largest magnitude is below this as zeros.
constexpr float kReferenceZero = 1e-15F;

/// x ~ scale * clamp(nearest(inverse * x), -n, n - 1). Where the group is zero, so are both.
struct ReferenceScale {
  Lanes scale;
  Lanes inverse;
};

/// The first value of largest magnitude.
template <int N>
Lanes first_extreme(const Lanes* x) {
  Lanes largest = splat(0);
  Lanes extreme = splat(0);
  for (int i = 0; i < N; ++i) {
    const LaneMask more = magnitude(x[i]) > largest;
    largest = pick(more, magnitude(x[i]), largest);
    extreme = pick(more, x[i], extreme);
  }
  return extreme;
}

/// q6_K: 19 scales around the one that puts the extreme at -n, each fitted with weights x^2; the
/// one whose fit explains most.
template <int N>
ReferenceScale reference_scale(const Lanes* x, float n) {
  const Lanes extreme = first_extreme<N>(x);
  const LaneMask zero = magnitude(extreme) < kReferenceZero;
  const Lanes divisor = pick(zero, splat(1), extreme);
  ReferenceScale best{splat(0), splat(0)};
  Lanes best_gain = splat(0);
  constexpr int kSteps = 9;
  for (int k = 0; k <= 2 * kSteps; ++k) {
    const int step = k == 0 ? 0 : k <= kSteps ? k - 1 - kSteps : k - kSteps;
    const Lanes inverse = -(n + 0.1F * static_cast<float>(step)) / divisor;
    Lanes sxq = splat(0);
    Lanes sqq = splat(0);
    for (int i = 0; i < N; ++i) {
      const Lanes q = clamp(nearest_low_bits(inverse * x[i]), -n, n - 1);
      const Lanes w = x[i] * x[i];
      sxq += w * x[i] * q;
      sqq += w * q * q;
    }
    const LaneMask fits = sqq > 0;
    const Lanes fitted = pick(fits, sxq / pick(fits, sqq, splat(1)), splat(0));
    const LaneMask better =
        step == 0 ? LaneMask(sqq == sqq) : LaneMask(fits & (sxq * sxq > best_gain * sqq));
    best.scale = pick(better, fitted, best.scale);
    best.inverse = pick(better, inverse, best.inverse);
    best_gain = pick(better, fitted * sxq, best_gain);
  }
  best.scale = pick(zero, splat(0), best.scale);
  best.inverse = pick(zero, splat(0), best.inverse);
  return best;
}

/// q3_K: codes in [-n, n - 1], moved one at a time as long as the fit with weights x^2 explains
/// more. Gives the codes and the scale. Where the group is zero, the codes are -n and the scale is
/// 0.
template <int N>
Lanes reference_codes(const Lanes* x, float n, Lanes* q) {
  const Lanes extreme = first_extreme<N>(x);
  const LaneMask zero = magnitude(extreme) < kReferenceZero;
  const Lanes inverse = -n / pick(zero, splat(1), extreme);
  Lanes sxq = splat(0);
  Lanes sqq = splat(0);
  for (int i = 0; i < N; ++i) {
    q[i] = clamp(nearest_low_bits(inverse * x[i]), -n, n - 1);
    const Lanes w = x[i] * x[i];
    sxq += w * x[i] * q[i];
    sqq += w * q[i] * q[i];
  }
  for (int round = 0; round < 5; ++round) {
    LaneMask changed = {};
    for (int i = 0; i < N; ++i) {
      const Lanes w = x[i] * x[i];
      Lanes other_xq = sxq - w * x[i] * q[i];
      Lanes other_qq = sqq - w * q[i] * q[i];
      const LaneMask positive = other_xq > 0;
      const Lanes moved =
          clamp(nearest_low_bits(x[i] * other_qq / pick(positive, other_xq, splat(1))), -n, n - 1);
      other_xq += w * x[i] * moved;
      other_qq += w * moved * moved;
      const LaneMask better = positive & (moved != q[i]) & (other_qq > 0) &
                              (other_xq * other_xq * sqq > sxq * sxq * other_qq);
      q[i] = pick(better, moved, q[i]);
      sxq = pick(better, other_xq, sxq);
      sqq = pick(better, other_qq, sqq);
      changed |= better;
    }
    if (!any(changed)) break;
  }
  for (int i = 0; i < N; ++i) q[i] = pick(zero, splat(-n), q[i]);
  const LaneMask fits = (sqq > 0) & ~zero;
  return pick(fits, sxq / pick(fits, sqq, splat(1)), splat(0));
}

/// x ~ scale * clamp(nearest(inverse * (x - base)), 0, top) - negative_min, negative_min >= 0.
struct ReferenceAffine {
  Lanes scale;
  Lanes negative_min;
  Lanes inverse;  ///< with `base`: of the codes that the fit was made for
  Lanes base;
};

/// The inverse scales that ReferenceAffineFit tries: (first + k * step + top) / range for k = 0 ..
/// last; its error counts squares or magnitudes.
struct ReferenceSteps {
  float first;
  float step;
  int last;
  bool magnitudes;
};

/// q2_K, q4_K, q5_K: scales around the one that covers the range, each fitted with weights `w`; the
/// one of least error. Every step starts from the least base found so far, as ggml's does, so one
/// step waits for the last, and a sum for each of its terms: `Groups` are done side by side.
template <int N, int Groups>
class ReferenceAffineFit {
 public:
  ReferenceAffineFit(const Lanes (*x)[N], const Lanes (*w)[N], float top)
      : x_(x), w_(w), top_(top) {}

  void run(ReferenceSteps steps, ReferenceAffine* best) {
    LaneMask flat[Groups];
    Lanes first_low[Groups];
    Lanes scale[Groups];
    Lanes min[Groups];
    Lanes inverse[Groups];
    find_ranges();
    for (int g = 0; g < Groups; ++g) {
      flat[g] = high_[g] == low_[g];
      first_low[g] = low_[g];
      inverse[g] = top_ / pick(flat[g], splat(1), high_[g] - low_[g]);
      best[g] = {1.0F / inverse[g], low_[g], inverse[g], low_[g]};
      scale[g] = best[g].scale;
      min[g] = low_[g];
    }
    fit(inverse);
    Lanes least[Groups];
    find_errors(scale, min, steps.magnitudes, least);
    for (int k = 0; k <= steps.last; ++k) {
      const float steps_in_range = steps.first + steps.step * static_cast<float>(k) + top_;
      for (int g = 0; g < Groups; ++g) inverse[g] = steps_in_range / (high_[g] - low_[g]);
      fit(inverse);
      for (int g = 0; g < Groups; ++g) solve(g, scale[g], min[g]);
      Lanes error[Groups];
      find_errors(scale, min, steps.magnitudes, error);
      for (int g = 0; g < Groups; ++g) {
        const LaneMask better = (determinant_[g] > 0) & (error[g] < least[g]);
        least[g] = pick(better, error[g], least[g]);
        best[g].scale = pick(better, scale[g], best[g].scale);
        best[g].inverse = pick(better, inverse[g], best[g].inverse);
        best[g].base = pick(better, low_[g], best[g].base);
        low_[g] = pick(better, min[g], low_[g]);
      }
    }
    for (int g = 0; g < Groups; ++g) {
      best[g].scale = pick(flat[g], splat(0), best[g].scale);
      best[g].inverse = pick(flat[g], splat(0), best[g].inverse);
      best[g].negative_min = -pick(flat[g], first_low[g], low_[g]);
    }
  }

 private:
  void find_ranges() {
    for (int g = 0; g < Groups; ++g) {
      low_[g] = high_[g] = x_[g][0];
      sw_[g] = w_[g][0];
      sx_[g] = w_[g][0] * x_[g][0];
    }
    for (int i = 1; i < N; ++i) {
      for (int g = 0; g < Groups; ++g) {
        low_[g] = smaller(x_[g][i], low_[g]);
        high_[g] = larger(x_[g][i], high_[g]);
        sw_[g] += w_[g][i];
        sx_[g] += w_[g][i] * x_[g][i];
      }
    }
    for (int g = 0; g < Groups; ++g) low_[g] = pick(low_[g] > 0, splat(0), low_[g]);
  }

  // Codes for these inverse scales and low_, and their sums.
  void fit(const Lanes* inverse) {
    Lanes sq[Groups] = {};
    Lanes sqq[Groups] = {};
    Lanes sxq[Groups] = {};
    for (int i = 0; i < N; ++i) {
      for (int g = 0; g < Groups; ++g) {
        const Lanes q = clamp(nearest_low_bits(inverse[g] * (x_[g][i] - low_[g])), 0, top_);
        const Lanes wq = w_[g][i] * q;
        q_[g][i] = q;
        sq[g] += wq;
        sqq[g] += wq * q;
        sxq[g] += wq * x_[g][i];
      }
    }
    for (int g = 0; g < Groups; ++g) {
      sq_[g] = sq[g];
      sqq_[g] = sqq[g];
      sxq_[g] = sxq[g];
    }
  }

  void solve(int g, Lanes& scale, Lanes& min) {
    determinant_[g] = sw_[g] * sqq_[g] - sq_[g] * sq_[g];
    scale = (sw_[g] * sxq_[g] - sx_[g] * sq_[g]) / determinant_[g];
    min = (sqq_[g] * sx_[g] - sq_[g] * sxq_[g]) / determinant_[g];
    const LaneMask above = min > 0;
    min = pick(above, splat(0), min);
    scale = pick(above, sxq_[g] / sqq_[g], scale);
  }

  void find_errors(const Lanes* scale, const Lanes* min, bool magnitudes, Lanes* out) const {
    Lanes sum[Groups] = {};
    for (int i = 0; i < N; ++i) {
      for (int g = 0; g < Groups; ++g) {
        const Lanes off = scale[g] * q_[g][i] + min[g] - x_[g][i];
        sum[g] += w_[g][i] * (magnitudes ? magnitude(off) : off * off);
      }
    }
    for (int g = 0; g < Groups; ++g) out[g] = sum[g];
  }

  const Lanes (*x_)[N];
  const Lanes (*w_)[N];
  float top_;
  Lanes low_[Groups], high_[Groups], sw_[Groups], sx_[Groups];
  Lanes sq_[Groups], sqq_[Groups], sxq_[Groups], determinant_[Groups];
  Lanes q_[Groups][N];
};

}  // namespace
}  // namespace fewbit::formats::gguf
