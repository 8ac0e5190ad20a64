#include "formats/kmeans_1d.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "formats/weight_sources.h"

namespace fewbit::formats {
namespace {

double error_of(const WeightedPoints& points, const std::vector<double>& levels) {
  double error = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    double least = std::numeric_limits<double>::infinity();
    for (const double level : levels) least = std::min(least, std::fabs(points.values[i] - level));
    error += points.weights[i] * least * least;
  }
  return error;
}

double error_about_mean(const WeightedPoints& points, size_t begin, size_t end) {
  double w = 0;
  double x = 0;
  for (size_t i = begin; i < end; ++i) {
    w += points.weights[i];
    x += points.weights[i] * points.values[i];
  }
  double error = 0;
  for (size_t i = begin; i < end; ++i) {
    error += points.weights[i] * (points.values[i] - x / w) * (points.values[i] - x / w);
  }
  return error;
}

// Over all ways to cut points [begin, size) into at most `count` intervals.
double least_error(const WeightedPoints& points, size_t begin, int count) {
  if (begin == points.size()) return 0;
  if (count == 1) return error_about_mean(points, begin, points.size());
  double least = std::numeric_limits<double>::infinity();
  for (size_t end = begin + 1; end <= points.size(); ++end) {
    least =
        std::min(least, error_about_mean(points, begin, end) + least_error(points, end, count - 1));
  }
  return least;
}

TEST(Kmeans1d, KnownLevels) {
  const std::vector<float> values = {9, 1, 2, 10, 1, 5};
  EXPECT_EQ(optimal_levels(sorted_points(values, {}), 3), (std::vector<double>{4.0 / 3, 5, 9.5}));
  EXPECT_EQ(optimal_levels(sorted_points(values, {}), 8), (std::vector<double>{1, 2, 5, 9, 10}));
  const std::vector<float> weights = {3, 1, 1, 1, 1, 0};
  EXPECT_EQ(optimal_levels(sorted_points(values, weights), 2),
            (std::vector<double>{4.0 / 3, 9.25}));
}

TEST(Kmeans1d, IsTheOptimumOfAllPartitions) {
  Random random(3);
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<float> values(4 + random.below(8));
    std::vector<float> weights(values.size());
    for (float& x : values) x = static_cast<float>(std::pow(random.normal(), 3.0));
    for (float& w : weights) w = static_cast<float>(random.uniform() + 0.01);
    const WeightedPoints points = sorted_points(values, weights);
    for (const int count : {2, 3, 4}) {
      const std::vector<double> levels = optimal_levels(points, count);
      ASSERT_EQ(levels.size(), std::min(points.size(), static_cast<size_t>(count)));
      EXPECT_TRUE(std::is_sorted(levels.begin(), levels.end()));
      EXPECT_NEAR(error_of(points, levels), least_error(points, 0, count), 1e-9);
    }
  }
}

TEST(Kmeans1d, LloydNeverBeatsTheOptimumAndDoesNotRaiseTheError) {
  for (const uint64_t seed : {1, 2, 3}) {
    const WeightedPoints points = sorted_points(student_values(3000, seed), {});
    const std::vector<double> start = {-3, -2, -1, -0.5, 0, 0.5, 1, 2};
    const double best = error_of(points, optimal_levels(points, 8));
    const double local = error_of(points, lloyd_levels(points, start, 1000));
    EXPECT_LE(best, local * (1 + 1e-12));
    EXPECT_LT(local, error_of(points, start));
  }
}

TEST(Kmeans1d, HugeValuesDoNotBlurSmallOnes) {
  std::vector<float> values = {-1e30F, 3e29F};
  for (const float x : {-2.0F, -1.0F, 1.0F, 2.0F}) {
    for (int k = -2; k <= 2; ++k) values.push_back(x + static_cast<float>(k) * 0.01F);
  }
  const std::vector<double> levels = optimal_levels(sorted_points(values, {}), 6);
  const std::vector<double> expected = {-1e30F, -2, -1, 1, 2, 3e29F};
  for (size_t k = 0; k < 6; ++k) EXPECT_NEAR(levels[k] / expected[k], 1, 1e-6);
}

TEST(Kmeans1d, HistogramKeepsTwelveBits) {
  const auto values = student_values(20000, 8);
  PointHistogram histogram;
  histogram.add(values, {});
  const WeightedPoints exact = sorted_points(values, {});
  const WeightedPoints coarse = histogram.points();
  EXPECT_TRUE(std::is_sorted(coarse.values.begin(), coarse.values.end()));
  EXPECT_LT(coarse.size(), exact.size());
  double weight = 0;
  for (const double w : coarse.weights) weight += w;
  EXPECT_EQ(weight, 20000);
  const double best = error_of(exact, optimal_levels(exact, 16));
  EXPECT_NEAR(error_of(exact, optimal_levels(coarse, 16)) / best, 1, 1e-4);
  for (const double x : exact.values) {
    const auto at = std::lower_bound(coarse.values.begin(), coarse.values.end(), x);
    double nearest = std::numeric_limits<double>::infinity();
    if (at != coarse.values.end()) nearest = *at - x;
    if (at != coarse.values.begin()) nearest = std::min(nearest, x - *(at - 1));
    EXPECT_LE(nearest, std::fabs(x) * 0x1p-11);
  }
}

}  // namespace
}  // namespace fewbit::formats
