#include "formats/kmeans_1d.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

namespace fewbit::formats {
namespace {

// Sums over points [i, j) as differences of two prefix sums. They start in the middle and run
// outwards: the sums of small values near the median are then free of the rounding errors that a
// few huge ones would bring in.
class IntervalCosts {
 public:
  explicit IntervalCosts(const WeightedPoints& points) : at_(points.size() + 1) {
    const size_t n = points.size();
    const size_t middle = n / 2;
    for (size_t i = middle; i < n; ++i) at_[i + 1] = step(at_[i], points, i, 1);
    for (size_t i = middle; i-- > 0;) at_[i] = step(at_[i + 1], points, i, -1);
  }

  double mean(size_t i, size_t j) const { return (at_[j].x - at_[i].x) / (at_[j].w - at_[i].w); }

  /// Squared error of points [i, j), i < j, about their mean.
  double cost(size_t i, size_t j) const {
    if (j - i == 1) return 0;
    const double w = at_[j].w - at_[i].w;
    const double x = at_[j].x - at_[i].x;
    const double xx = at_[j].xx - at_[i].xx;
    return std::max(xx - x * x / w, 0.0);
  }

 private:
  struct Sums {
    double w = 0;
    double x = 0;
    double xx = 0;
  };
  static Sums step(const Sums& from, const WeightedPoints& points, size_t i, double sign) {
    const double w = sign * points.weights[i];
    const double x = points.values[i];
    return {from.w + w, from.x + w * x, from.xx + w * x * x};
  }
  std::vector<Sums> at_;
};

// One layer D_k from D_{k-1}, and the i that each entry took.
class Layer {
 public:
  Layer(const IntervalCosts& costs, const std::vector<double>& before, std::vector<double>& after,
        uint32_t* from)
      : costs_(costs), before_(before), after_(after), from_(from) {}

  // Entries [lo, hi], whose best i lies within [first, last].
  void solve(size_t lo, size_t hi, size_t first, size_t last) {
    const size_t j = (lo + hi) / 2;
    const size_t best = best_split(j, first, std::min(last, j - 1));
    if (lo < j) solve(lo, j - 1, first, best);
    if (j < hi) solve(j + 1, hi, best, last);
  }

  size_t best_split(size_t j, size_t first, size_t last) {
    double least = std::numeric_limits<double>::infinity();
    size_t best = last;
    for (size_t i = last + 1; i-- > first;) {
      const double cost = costs_.cost(i, j);
      if (cost >= least) break;  // it only grows from here
      const double total = before_[i] + cost;
      if (total < least) {
        least = total;
        best = i;
      }
    }
    after_[j] = least;
    from_[j] = static_cast<uint32_t>(best);
    return best;
  }

 private:
  const IntervalCosts& costs_;
  const std::vector<double>& before_;
  std::vector<double>& after_;
  uint32_t* from_;
};

// Ascending as the floats are: negative ones have their bits turned round.
constexpr int kBucketBits = 20;  // sign, exponent, 11 bits of mantissa
uint32_t bucket_of(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t ordered = bits >> 31 != 0 ? ~bits : bits | 0x80000000;
  return ordered >> (32 - kBucketBits);
}

}  // namespace

WeightedPoints sorted_points(std::span<const float> values, std::span<const float> weights) {
  std::vector<std::pair<float, float>> sorted;
  sorted.reserve(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const float weight = weights.empty() ? 1.0F : weights[i];
    if (weight > 0) sorted.emplace_back(values[i], weight);
  }
  std::sort(sorted.begin(), sorted.end());
  WeightedPoints points;
  points.values.reserve(sorted.size());
  points.weights.reserve(sorted.size());
  for (const auto& [value, weight] : sorted) {
    if (!points.values.empty() && points.values.back() == value) {
      points.weights.back() += weight;
    } else {
      points.values.push_back(value);
      points.weights.push_back(weight);
    }
  }
  return points;
}

PointHistogram::PointHistogram()
    : weight_(size_t{1} << kBucketBits), weighted_sum_(size_t{1} << kBucketBits) {}

void PointHistogram::add(std::span<const float> values, std::span<const float> weights) {
  for (size_t i = 0; i < values.size(); ++i) {
    const double weight = weights.empty() ? 1.0 : weights[i];
    const size_t bucket = bucket_of(values[i]);
    weight_[bucket] += weight;
    weighted_sum_[bucket] += weight * values[i];
  }
}

WeightedPoints PointHistogram::points() const {
  WeightedPoints points;
  for (size_t b = 0; b < weight_.size(); ++b) {
    if (!(weight_[b] > 0)) continue;
    const double value = weighted_sum_[b] / weight_[b];
    if (!points.values.empty() && points.values.back() >= value) {  // 0 and -0
      points.weights.back() += weight_[b];
      continue;
    }
    points.values.push_back(value);
    points.weights.push_back(weight_[b]);
  }
  return points;
}

std::vector<double> optimal_levels(const WeightedPoints& points, int count) {
  const size_t n = points.size();
  const auto k_end = static_cast<size_t>(count);
  if (n <= k_end) return points.values;
  const IntervalCosts costs(points);
  std::vector<double> before(n + 1);
  std::vector<double> after(n + 1);
  for (size_t j = 1; j <= n; ++j) before[j] = costs.cost(0, j);
  std::vector<uint32_t> from((k_end - 1) * (n + 1));  // layers 2 to count
  for (size_t k = 2; k <= k_end; ++k) {
    Layer layer(costs, before, after, from.data() + (k - 2) * (n + 1));
    if (k < k_end) {
      layer.solve(k, n - (k_end - k), k - 1, n - 1);
    } else {
      layer.best_split(n, k - 1, n - 1);
    }
    std::swap(before, after);
  }
  std::vector<double> levels(k_end);
  size_t end = n;
  for (size_t k = k_end; k >= 1; --k) {
    const size_t begin = k == 1 ? 0 : from[(k - 2) * (n + 1) + end];
    levels[k - 1] = costs.mean(begin, end);
    end = begin;
  }
  return levels;
}

std::vector<double> lloyd_levels(const WeightedPoints& points, std::vector<double> levels,
                                 int rounds) {
  const IntervalCosts costs(points);
  std::vector<size_t> cells(levels.size() + 1);
  for (int round = 0; round < rounds; ++round) {
    std::vector<size_t> now(levels.size() + 1, points.size());
    now[0] = 0;
    for (size_t k = 1; k < levels.size(); ++k) {
      const double middle = levels[k - 1] + (levels[k] - levels[k - 1]) / 2;
      now[k] =
          static_cast<size_t>(std::upper_bound(points.values.begin(), points.values.end(), middle) -
                              points.values.begin());
    }
    if (now == cells) break;
    cells = std::move(now);
    for (size_t k = 0; k < levels.size(); ++k) {
      if (cells[k] < cells[k + 1]) levels[k] = costs.mean(cells[k], cells[k + 1]);
    }
  }
  return levels;
}

}  // namespace fewbit::formats
