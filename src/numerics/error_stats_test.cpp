#include "numerics/error_stats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"

namespace fewbit {
namespace {

TEST(ErrorStats, SmallExample) {
  ErrorStats stats;
  stats.add(std::vector<float>{3, -4, 0}, std::vector<float>{3, -3, 1});
  EXPECT_EQ(stats.count(), 3);
  EXPECT_DOUBLE_EQ(stats.sqnr_db(), 10 * std::log10(25.0 / 2));
  EXPECT_DOUBLE_EQ(stats.cosine(), 21.0 / (5 * std::sqrt(19.0)));
  EXPECT_DOUBLE_EQ(stats.mean_squared_error(), 2.0 / 3);
  EXPECT_EQ(stats.max_abs_error(), 1);
}

TEST(ErrorStats, PiecesAndMergesGiveTheWhole) {
  Random random(1);
  std::vector<float> f(1003);
  std::vector<float> q(1003);
  random.fill_normal(f, 0, 1);
  double signal = 0;
  double noise = 0;
  for (size_t i = 0; i < f.size(); ++i) {
    q[i] = f[i] + 0.01F * static_cast<float>(random.normal());
    signal += double{f[i]} * f[i];
    noise += (double{f[i]} - q[i]) * (double{f[i]} - q[i]);
  }
  const std::span<const float> fs(f);
  const std::span<const float> qs(q);
  ErrorStats first;
  first.add(fs.first(10), qs.first(10));
  first.add(fs.subspan(10, 503), qs.subspan(10, 503));
  ErrorStats second;
  second.add(fs.subspan(513), qs.subspan(513));
  first.merge(second);
  EXPECT_EQ(first.count(), 1003);
  // The order of 1003 additions in double changes the sum by less than 1003 eps.
  EXPECT_NEAR(first.signal(), signal, 1003 * 2.3e-16 * signal);
  EXPECT_NEAR(first.noise(), noise, 1003 * 2.3e-16 * noise);
  EXPECT_NEAR(first.sqnr_db(), 40, 1);
}

TEST(ErrorStats, Edges) {
  ErrorStats stats;
  EXPECT_EQ(stats.mean_squared_error(), 0);
  EXPECT_EQ(stats.cosine(), 1);
  stats.add(std::vector<float>{0, 0}, std::vector<float>{0, 0});
  EXPECT_EQ(stats.sqnr_db(), std::numeric_limits<double>::infinity());
  stats.add(std::vector<float>{0}, std::vector<float>{1});
  EXPECT_EQ(stats.sqnr_db(), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(stats.cosine(), 0);
}

TEST(ErrorStats, InfiniteAndNanPairsAreLeftOut) {
  const float inf = std::numeric_limits<float>::infinity();
  ErrorStats stats;
  stats.add(std::vector<float>{1, inf, 2, std::nanf("")}, std::vector<float>{1, 1, inf, 0});
  EXPECT_EQ(stats.count(), 1);
  EXPECT_EQ(stats.non_finite(), 3);
  EXPECT_EQ(stats.max_abs_error(), 0);
  EXPECT_EQ(stats.signal(), 1);
}

}  // namespace
}  // namespace fewbit
