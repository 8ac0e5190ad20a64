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

/// The inverse scales that reference_affine tries: (first + k * step + top) / range for k = 0 ..
/// last; its error counts squares or magnitudes.
struct ReferenceSteps {
  float first;
  float step;
  int last;
  bool magnitudes;
};

/// q2_K, q4_K, q5_K: scales around the one that covers the range, each fitted with weights `w`; the
/// one of least error. Every step starts from the least base found so far, as ggml's does.
template <int N>
ReferenceAffine reference_affine(const Lanes* x, const Lanes* w, float top, ReferenceSteps steps) {
  Lanes low = x[0];
  Lanes high = x[0];
  Lanes sw = w[0];
  Lanes sx = w[0] * x[0];
  for (int i = 1; i < N; ++i) {
    low = smaller(x[i], low);
    high = larger(x[i], high);
    sw += w[i];
    sx += w[i] * x[i];
  }
  low = pick(low > 0, splat(0), low);
  const LaneMask flat = high == low;
  const Lanes first_low = low;
  const Lanes first_inverse = top / pick(flat, splat(1), high - low);
  ReferenceAffine best{1.0F / first_inverse, low, first_inverse, low};
  Lanes q[N];
  const auto error_of = [&](Lanes scale, Lanes min) {
    Lanes sum = splat(0);
    for (int i = 0; i < N; ++i) {
      const Lanes off = scale * q[i] + min - x[i];
      sum += w[i] * (steps.magnitudes ? magnitude(off) : off * off);
    }
    return sum;
  };
  for (int i = 0; i < N; ++i) {
    q[i] = clamp(nearest_low_bits(first_inverse * (x[i] - low)), 0, top);
  }
  Lanes least = error_of(best.scale, low);
  for (int k = 0; k <= steps.last; ++k) {
    const Lanes inverse = (steps.first + steps.step * static_cast<float>(k) + top) / (high - low);
    Lanes sq = splat(0);
    Lanes sqq = splat(0);
    Lanes sxq = splat(0);
    for (int i = 0; i < N; ++i) {
      q[i] = clamp(nearest_low_bits(inverse * (x[i] - low)), 0, top);
      const Lanes wq = w[i] * q[i];
      sq += wq;
      sqq += wq * q[i];
      sxq += wq * x[i];
    }
    const Lanes determinant = sw * sqq - sq * sq;
    const LaneMask solvable = determinant > 0;
    Lanes scale = (sw * sxq - sx * sq) / determinant;
    Lanes min = (sqq * sx - sq * sxq) / determinant;
    const LaneMask above = min > 0;
    min = pick(above, splat(0), min);
    scale = pick(above, sxq / sqq, scale);
    const Lanes error = error_of(scale, min);
    const LaneMask better = solvable & (error < least);
    least = pick(better, error, least);
    best.scale = pick(better, scale, best.scale);
    best.inverse = pick(better, inverse, best.inverse);
    best.base = pick(better, low, best.base);
    low = pick(better, min, low);
  }
  best.scale = pick(flat, splat(0), best.scale);
  best.inverse = pick(flat, splat(0), best.inverse);
  best.negative_min = -pick(flat, first_low, low);
  return best;
}

}  // namespace
}  // namespace fewbit::formats::gguf
