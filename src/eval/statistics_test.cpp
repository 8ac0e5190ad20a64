#include "eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace fewbit {
namespace {

TEST(Statistics, InTopK) {
  const std::vector<float> scores = {0.1F, 0.7F, 0.3F, 0.3F};
  EXPECT_TRUE(in_top_k(scores, 1, 1));
  EXPECT_FALSE(in_top_k(scores, 2, 1));
  EXPECT_TRUE(in_top_k(scores, 2, 2));
  EXPECT_FALSE(in_top_k(scores, 3, 2)) << "of equal scores the first wins";
  EXPECT_TRUE(in_top_k(scores, 3, 3));
  EXPECT_TRUE(in_top_k(scores, 0, 5)) << "k beyond the number of scores";
  EXPECT_FALSE(in_top_k(scores, 4, 5));
  EXPECT_FALSE(in_top_k(scores, -1, 5));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(in_top_k(std::vector<float>{nan, 1}, 1, 2));
  EXPECT_FALSE(in_top_k(std::vector<float>{nan, nan}, 0, 2));
}

// scipy.stats.binomtest(s, n).proportion_ci(method='wilson'), SciPy 1.17.
TEST(Statistics, WilsonInterval) {
  const auto expect = [](int64_t successes, int64_t total, double low, double high) {
    const Interval interval = wilson_interval(successes, total);
    EXPECT_NEAR(interval.low, low, 1e-14);
    EXPECT_NEAR(interval.high, high, 1e-14);
  };
  expect(79, 100, 0.7002003116591013, 0.858343459380847);
  expect(0, 10, 0.0, 0.27753279986288926);
  expect(10, 10, 0.7224672001371109, 1.0);
  expect(717, 900, 0.7691366756790222, 0.8216749039278123);
  expect(1, 3, 0.06149194472039626, 0.7923403991979523);
  expect(0, 0, 0, 1);
}

// scipy.stats.binomtest(min(b, c), b + c).pvalue, SciPy 1.17.
TEST(Statistics, McNemar) {
  const auto p = [](int64_t only_first, int64_t only_second) {
    return paired_difference({50, only_first, only_second, 50}).mcnemar_p;
  };
  EXPECT_NEAR(p(5, 15), 0.04138946533203125, 1e-13);
  EXPECT_EQ(p(15, 5), p(5, 15));
  EXPECT_EQ(p(0, 1), 1);
  EXPECT_EQ(p(30, 30), 1);
  EXPECT_EQ(p(0, 0), 1);
  EXPECT_NEAR(p(3, 4), 1, 1e-13);
  // Logarithms of factorials near 4200 carry a relative error of about 4200 log(4200) eps.
  EXPECT_NEAR(p(100, 160), 0.00023894190306813953, 1e-14);
  EXPECT_NEAR(p(2000, 2200), 0.0021323556719912455, 1e-12);
  EXPECT_EQ(p(0, 2000), 0) << "below the smallest double";
}

// Newcombe's method 10, computed in Python from the paper's formulas and SciPy's Wilson limits.
TEST(Statistics, PairedDifference) {
  const auto expect = [](const PairedCounts& counts, double difference, double low, double high) {
    const PairedDifference result = paired_difference(counts);
    EXPECT_NEAR(result.difference, difference, 1e-14);
    EXPECT_NEAR(result.interval.low, low, 1e-13);
    EXPECT_NEAR(result.interval.high, high, 1e-13);
  };
  expect({700, 12, 5, 183}, -0.007777777777777772, -0.017383900880898192, 0.0016632629952505976);
  expect({36, 2, 12, 0}, 0.2, 0.05692958400323875, 0.3404276029749408);
  expect({1, 1, 1, 1}, 0, -0.49491960784282796, 0.49491960784282796);
  expect({54, 0, 0, 0}, 0, -0.06641358809089648, 0.06641358809089648);
  expect({0, 30, 0, 0}, -1, -1, -0.8394678198623838);
}

TEST(Statistics, PairedCounts) {
  PairedCounts counts;
  counts.add(true, true);
  counts.add(true, false);
  counts.add(true, false);
  counts.add(false, true);
  counts.add(false, false);
  EXPECT_EQ(counts.both_right, 1);
  EXPECT_EQ(counts.only_first, 2);
  EXPECT_EQ(counts.only_second, 1);
  EXPECT_EQ(counts.both_wrong, 1);
  EXPECT_EQ(counts.total(), 5);
  // The interval of swapped classifiers is the mirror image.
  const PairedDifference one = paired_difference(counts);
  const PairedDifference other = paired_difference({1, 1, 2, 1});
  EXPECT_DOUBLE_EQ(one.difference, -other.difference);
  EXPECT_DOUBLE_EQ(one.interval.low, -other.interval.high);
}

}  // namespace
}  // namespace fewbit
