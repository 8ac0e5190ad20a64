#include "eval/latency.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <thread>

#include "base/random.h"

namespace fewbit {
namespace {

TEST(Latency, QuantilesOfKnownValues) {
  const std::vector<double> values = {4, 1, 3, 2, 5};
  EXPECT_EQ(quantile(values, 0), 1);
  EXPECT_EQ(quantile(values, 0.5), 3);
  EXPECT_EQ(quantile(values, 1), 5);
  EXPECT_DOUBLE_EQ(quantile(values, 0.1), 1.4);
}

TEST(Latency, MedianIntervalIsThatOfTheBinomialTable) {
  // n = 10: P(B <= 1) = 11 / 1024 = 1.07 %, P(B <= 2) = 5.5 %: the 2nd and the 9th value.
  std::vector<double> values(10);
  std::iota(values.begin(), values.end(), 1.0);
  const MedianInterval ten = median_interval(values);
  EXPECT_EQ(ten.median, 5.5);
  EXPECT_EQ(ten.low, 2);
  EXPECT_EQ(ten.high, 9);
  const std::vector<double> few = {3, 1, 2};
  EXPECT_EQ(median_interval(few).low, 1);
  EXPECT_EQ(median_interval(few).high, 3);
}

TEST(Latency, MedianIntervalHoldsTheMedianNineteenTimesInTwenty) {
  Random random(1);
  int held = 0;
  constexpr int kTrials = 2000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> values(101);
    for (double& v : values)
      v = random.normal() * random.normal();  // symmetric about 0, not normal
    const MedianInterval interval = median_interval(values);
    held += interval.low <= 0 && interval.high >= 0 ? 1 : 0;
  }
  // Coverage is at least 95 %; five standard deviations of 2000 trials at 95 % are 2.4 %.
  EXPECT_GE(held, static_cast<int>(kTrials * 0.925));
}

TEST(Latency, MeasuresSleepAndStopsAtErrors) {
  LatencyOptions options;
  options.seconds = 0.02;
  options.warmup_seconds = 0;
  options.min_runs = 5;
  auto nap = [](int ms) {
    return [ms]() -> Status {
      std::this_thread::sleep_for(std::chrono::milliseconds(ms));
      return {};
    };
  };
  auto pair = measure_pair(nap(1), nap(4), options);
  ASSERT_TRUE(pair.ok());
  EXPECT_GE(pair->first.size(), 5U);
  EXPECT_EQ(pair->first.size(), pair->second.size());
  EXPECT_GT(pair->ratio.median, 1.2);
  for (double s : pair->second) EXPECT_GE(s, 0.004);
  auto failed = measure([]() -> Status { return bad_input("broken"); }, options);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message(), "broken");
}

}  // namespace
}  // namespace fewbit
