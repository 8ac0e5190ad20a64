#pragma once
// k-means on a line: levels and cells of least weighted squared error, exactly.
//
// On sorted points every optimal cluster is an interval, so dynamic programming finds the optimum:
//
//   D_k[j] = min over i of D_{k-1}[i] + cost(i, j)      the first j points in k intervals
//
// where cost(i, j), the error of points [i, j) about their mean, comes from prefix sums. The best i
// never decreases with j, so a layer is solved by divide and conquer in n log n steps. Source:
// H. Wang, M. Song, "Ckmeans.1d.dp: Optimal k-means Clustering in One Dimension by Dynamic
// Programming", The R Journal 2011; A. Gronlund et al., "Fast Exact k-Means, k-Medians and Bregman
// Divergence Clustering in 1D", 2017 (the monotone search).

#include <cstdint>
#include <span>
#include <vector>

namespace fewbit::formats {

/// Points on a line: values ascending and distinct, weights above 0.
struct WeightedPoints {
  std::vector<double> values;
  std::vector<double> weights;

  size_t size() const { return values.size(); }
};

/// Sorts, drops what weighs nothing and merges equal values. `weights` is [values] or empty (all
/// 1).
WeightedPoints sorted_points(std::span<const float> values, std::span<const float> weights);

/// Gathers any number of values in little memory, by their first 12 significant bits: a bucket
/// becomes one point at its weighted mean, at most 2^-12 (relative) from any of its values.
class PointHistogram {
 public:
  PointHistogram();
  /// As sorted_points.
  void add(std::span<const float> values, std::span<const float> weights);
  WeightedPoints points() const;

 private:
  std::vector<double> weight_;        // by bucket, in ascending order of value
  std::vector<double> weighted_sum_;  // of the values
};

/// The `count` levels of least weighted squared error, ascending; with fewer points than levels the
/// points themselves. Time size * log(size) * count, memory 4 * size * count bytes.
std::vector<double> optimal_levels(const WeightedPoints& points, int count);

/// Lloyd's algorithm (1957, IEEE Trans. Inf. Theory 1982) from `levels`, ascending, until nothing
/// moves or `rounds` are over: a local optimum. Levels that no point is nearest to stay in place.
std::vector<double> lloyd_levels(const WeightedPoints& points, std::vector<double> levels,
                                 int rounds);

}  // namespace fewbit::formats
