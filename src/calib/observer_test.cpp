#include "calib/observer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "calib/extremes.h"

namespace fewbit {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> normal(size_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> out(n);
  for (float& v : out) v = static_cast<float>(random.normal());
  return out;
}

TEST(Extremes, FindsLimitsZerosAndNonFinite) {
  std::vector<float> v(40001, 1.0F);
  v[7] = -3;
  v[40000] = 9;
  v[20000] = 0;
  Extremes e = extremes_of(v);
  EXPECT_EQ(e.low, -3);
  EXPECT_EQ(e.high, 9);
  EXPECT_EQ(e.zeros, 1);
  EXPECT_TRUE(e.all_finite);
  for (float bad : {kNan, kInf, -kInf}) {
    v[33333] = bad;
    EXPECT_FALSE(extremes_of(v).all_finite);
  }
}

TEST(Histogram, KeepsEveryValueWhileItsRangeGrows) {
  Histogram h;
  std::vector<float> small = normal(1000, 1);
  h.add(small);
  std::vector<float> wide = normal(1000, 2);
  for (float& v : wide) v *= 1e4F;
  h.add(wide);
  h.add(std::vector<float>{0, 0, kNan, -kInf});
  EXPECT_EQ(h.count(), 2002);
  EXPECT_EQ(h.not_finite(), 2);
  double total = 0;
  double zeros = 0;
  double last = -INFINITY;
  for (const auto& bin : h.bins()) {
    total += bin.count;
    if (bin.width == 0 && bin.center == 0) zeros = bin.count;
    EXPECT_GE(bin.center, last);
    last = bin.center;
    EXPECT_GE(bin.center - bin.width / 2, h.min() - 1e-3);
    EXPECT_LE(bin.center + bin.width / 2, h.max() + 1e-3);
  }
  EXPECT_EQ(total, 2002);
  EXPECT_EQ(zeros, 2);
}

TEST(Histogram, HoldsValuesFarFromZero) {
  Histogram h;
  h.add(std::vector<float>{16777216.0F, 16777218.0F, 16777220.0F});
  EXPECT_EQ(h.count(), 3);
  double total = 0;
  for (const auto& bin : h.bins()) total += bin.count;
  EXPECT_EQ(total, 3);
}

class EveryObserver : public testing::TestWithParam<std::string_view> {};

TEST_P(EveryObserver, CoversWhatItSawAndZero) {
  auto observer = find_observer(GetParam())->make({});
  std::vector<float> values = normal(20000, 3);
  for (float& v : values) v = v * 0.5F + 3;
  observer->observe(values);
  for (bool symmetric : {false, true}) {
    Range r = observer->range({8, symmetric});
    EXPECT_LE(r.low, 0) << "zero must be representable";
    EXPECT_GT(r.high, 3);
    EXPECT_LT(r.high, 6);
  }
}

TEST_P(EveryObserver, IgnoresNanAndInfinity) {
  auto clean = find_observer(GetParam())->make({});
  auto dirty = find_observer(GetParam())->make({});
  std::vector<float> values = normal(5000, 4);
  clean->observe(values);
  values.insert(values.end(), {kNan, kInf, -kInf});
  dirty->observe(values);
  EXPECT_EQ(clean->range({}).low, dirty->range({}).low);
  EXPECT_EQ(clean->range({}).high, dirty->range({}).high);
}

TEST_P(EveryObserver, SurvivesConstantZeroAndEmptyData) {
  auto observer = find_observer(GetParam())->make({});
  observer->observe({});
  observer->observe(std::vector<float>(100, 0.0F));
  Range r = observer->range({});
  EXPECT_EQ(r.low, 0);
  EXPECT_EQ(r.high, 0);
}

TEST_P(EveryObserver, OneSidedDataGetsAOneSidedRange) {
  auto observer = find_observer(GetParam())->make({});
  std::vector<float> values = normal(20000, 5);
  for (float& v : values) v = std::max(v, 0.0F);
  observer->observe(values);
  EXPECT_EQ(observer->range({8, false}).low, 0);
}

std::vector<std::string_view> names() {
  std::vector<std::string_view> out;
  for (const ObserverRow& row : observer_table()) out.push_back(row.name);
  return out;
}
INSTANTIATE_TEST_SUITE_P(Table, EveryObserver, testing::ValuesIn(names()),
                         [](const auto& row) { return std::string(row.param); });

TEST(MseObserver, IsNoWorseThanMinMaxAndClipsOutliers) {
  auto observer = make_mse_observer({});
  Histogram h;
  std::vector<float> values = normal(100000, 6);
  values.push_back(100);
  observer->observe(values);
  h.add(values);
  RangeTarget target{4, false};
  Range found = observer->range(target);
  EXPECT_LT(found.high, 50) << "one outlier in 100000 is not worth four bits of range";
  EXPECT_LT(quantization_error(h.bins(), found, target),
            quantization_error(h.bins(), {h.min(), h.max()}, target));
}

TEST(PercentileObserver, CutsTheTailsItIsToldTo) {
  auto observer = make_percentile_observer({98, 0.9});
  std::vector<float> values;
  for (int i = -1000; i <= 1000; ++i) values.push_back(static_cast<float>(i));
  observer->observe(values);
  Range r = observer->range({});
  EXPECT_NEAR(r.high, 980, 2);
  EXPECT_NEAR(r.low, -980, 2);
}

// The formula against quantizing the values themselves.
TEST(QuantizationError, MatchesTheMeasuredError) {
  std::vector<float> values = normal(200000, 7);
  Histogram h;
  h.add(values);
  Range range{-2, 2};
  double step = 4.0 / 255;
  double sum = 0;
  for (float v : values) {
    double q = std::clamp(std::nearbyint(v / step), -127.0, 128.0) * step;
    sum += (v - q) * (v - q);
  }
  double expected = sum / static_cast<double>(values.size());
  EXPECT_NEAR(quantization_error(h.bins(), range, {8, false}), expected, 0.02 * expected);
}

}  // namespace
}  // namespace fewbit
