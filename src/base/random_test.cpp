#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace fewbit {
namespace {

// SplitMix64 from seed 0 begins e220a8397b1dcdaf, 6e789e6aa1b965f4, 06c45d188009454f,
// f88bb8a8724c81ec; the outputs below follow from those words by the published recurrence and were
// computed with arbitrary-precision integers in Python.
TEST(Random, KnownSequence) {
  Random random(0);
  EXPECT_EQ(random.next(), 0x99ec5f36cb75f2b4U);
  EXPECT_EQ(random.next(), 0xbf6e1f784956452aU);
  EXPECT_EQ(random.next(), 0x1a5f849d4933e6e0U);
  EXPECT_EQ(random.next(), 0x6aa594f1262d2d2cU);
}

TEST(Random, SameSeedSameNumbers) {
  Random a(7);
  Random b(7);
  Random c(8);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const double x = a.normal();
    EXPECT_EQ(x, b.normal());
    differs |= x != c.normal();
  }
  EXPECT_TRUE(differs);
}

TEST(Random, UniformMoments) {
  Random random(1);
  constexpr int kCount = 100000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double x = random.uniform();
    ASSERT_GE(x, 0);
    ASSERT_LT(x, 1);
    sum += x;
    squares += x * x;
  }
  // Five standard errors: deviation sqrt(1/12) of x, sqrt(4/45) of x^2.
  EXPECT_NEAR(sum / kCount, 0.5, 5 * std::sqrt(1.0 / 12 / kCount));
  EXPECT_NEAR(squares / kCount, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / kCount));
}

TEST(Random, NormalMoments) {
  Random random(2);
  constexpr int kCount = 100000;
  double sum = 0;
  double squares = 0;
  double fourths = 0;
  for (int i = 0; i < kCount; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
    fourths += x * x * x * x;
  }
  // Five standard errors: var(x) = 1, var(x^2) = 2, var(x^4) = 105 - 9 = 96.
  EXPECT_NEAR(sum / kCount, 0, 5 * std::sqrt(1.0 / kCount));
  EXPECT_NEAR(squares / kCount, 1, 5 * std::sqrt(2.0 / kCount));
  EXPECT_NEAR(fourths / kCount, 3, 5 * std::sqrt(96.0 / kCount));
}

TEST(Random, BelowIsUniform) {
  Random random(3);
  constexpr int kCount = 70000;
  std::vector<int> counts(7);
  for (int i = 0; i < kCount; ++i) ++counts[random.below(7)];
  for (const int count : counts) {  // binomial, five deviations
    EXPECT_NEAR(count, kCount / 7.0, 5 * std::sqrt(kCount / 7.0 * 6 / 7));
  }
  EXPECT_EQ(random.below(1), 0U);
  EXPECT_LT(random.below(uint64_t{1} << 63), uint64_t{1} << 63);
}

TEST(Random, UniformFloatStaysInside) {
  Random random(4);
  std::vector<float> values(10000);
  random.fill_uniform(values, -2.5F, 0.3F);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  EXPECT_GE(*low, -2.5F);
  EXPECT_LT(*high, 0.3F);
  // Two adjacent floats as bounds: rounding may not reach the upper one.
  const float above = std::nextafter(1.0F, 2.0F);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(random.uniform(1.0F, above), 1.0F);
}

TEST(Random, ShuffleIsAPermutation) {
  Random random(5);
  std::vector<int> items(100);
  std::iota(items.begin(), items.end(), 0);
  std::vector<int> shuffled = items;
  random.shuffle<int>(shuffled);
  EXPECT_NE(shuffled, items);
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(shuffled, items);
}

}  // namespace
}  // namespace fewbit
