#include "methods/round_to_nearest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"

namespace fewbit {
namespace {

constexpr int64_t kRows = 6;
constexpr int64_t kElems = 50;

// Rows of very different size and mean.
std::vector<float> random_weights(uint64_t seed) {
  Random random(seed);
  std::vector<float> w(static_cast<size_t>(kRows * kElems));
  for (size_t i = 0; i < w.size(); ++i) {
    auto row = static_cast<double>(i / static_cast<size_t>(kElems));
    w[i] = static_cast<float>(std::pow(10.0, row - 3) * (random.normal() + (row - 2)));
  }
  return w;
}

double value_of(const IntegerCodes& c, int64_t row, int64_t k) {
  return static_cast<double>(c.scale_of(row)) *
         (c.codes[static_cast<size_t>(row * c.elems + k)] - c.zero_of(row));
}

double squared_error(const std::vector<float>& w, const IntegerCodes& c) {
  double sum = 0;
  for (int64_t i = 0; i < c.rows * c.elems; ++i) {
    double e = w[static_cast<size_t>(i)] - value_of(c, i / c.elems, i % c.elems);
    sum += e * e;
  }
  return sum;
}

TEST(RoundToNearest, ErrorsStayWithinHalfAStep) {
  std::vector<float> w = random_weights(1);
  for (int bits = 2; bits <= 8; ++bits) {
    for (bool symmetric : {true, false}) {
      for (bool per_row : {true, false}) {
        IntegerCodes c = round_to_nearest(w, kRows, kElems, {bits, symmetric, per_row, false});
        EXPECT_EQ(c.scale.size(), per_row ? 6U : 1U);
        int top = (1 << (bits - 1)) - 1;
        for (int64_t i = 0; i < kRows * kElems; ++i) {
          int64_t row = i / kElems;
          int code = c.codes[static_cast<size_t>(i)];
          ASSERT_LE(code, top);
          ASSERT_GE(code, symmetric ? -top : -top - 1);
          // The rounding of the zero-point moves the ends of the range by up to half a step too,
          // and there the code is cut: the bound is the same. Float division: a unit of the last
          // place.
          double e = std::abs(w[static_cast<size_t>(i)] - value_of(c, row, i % kElems));
          ASSERT_LE(e, 0.5 * c.scale_of(row) * (1 + 1e-4)) << bits << " " << symmetric << " " << i;
        }
        EXPECT_NEAR(c.squared_error, squared_error(w, c), 1e-9 * c.squared_error + 1e-30);
      }
    }
  }
}

TEST(RoundToNearest, SymmetricCodesHaveNoZeroPoint) {
  IntegerCodes c = round_to_nearest(random_weights(2), kRows, kElems, {8, true, true, true});
  for (int32_t z : c.zero) EXPECT_EQ(z, 0);
}

TEST(RoundToNearest, RowsOfZerosGetAScaleAndZeroCodes) {
  std::vector<float> w(20, 0.0F);
  w[15] = 0.5F;
  for (bool symmetric : {true, false}) {
    for (bool search : {true, false}) {
      IntegerCodes c = round_to_nearest(w, 2, 10, {8, symmetric, true, search});
      EXPECT_GT(c.scale[0], 0);
      for (int64_t k = 0; k < 10; ++k) EXPECT_EQ(value_of(c, 0, k), 0);
      EXPECT_NEAR(value_of(c, 1, 5), 0.5, 0.01);
    }
  }
}

TEST(RoundToNearest, SearchIsNeverWorseThanTheLargestMagnitude) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<float> w = random_weights(seed);
    for (int bits : {2, 3, 4, 8}) {
      for (bool symmetric : {true, false}) {
        for (bool per_row : {true, false}) {
          IntegerCodes a = round_to_nearest(w, kRows, kElems, {bits, symmetric, per_row, false});
          IntegerCodes b = round_to_nearest(w, kRows, kElems, {bits, symmetric, per_row, true});
          EXPECT_LE(b.squared_error, a.squared_error) << bits;
        }
      }
    }
  }
}

TEST(RoundToNearest, AtFewBitsTheSearchClipsNormalWeights) {
  std::vector<float> w(4096);
  Random(3).fill_normal(w, 0, 1);
  IntegerCodes a = round_to_nearest(w, 1, 4096, {3, true, true, false});
  IntegerCodes b = round_to_nearest(w, 1, 4096, {3, true, true, true});
  EXPECT_LT(b.squared_error, 0.8 * a.squared_error);
  EXPECT_LT(b.scale[0], a.scale[0]);
}

TEST(RoundToNearest, OneHugeOutlierSpoilsItsRowOnly) {
  std::vector<float> w = random_weights(4);
  IntegerCodes before = round_to_nearest(w, kRows, kElems, {});
  w[3] = 1e30F;
  IntegerCodes after = round_to_nearest(w, kRows, kElems, {});
  EXPECT_EQ(after.codes[3], 127);
  for (size_t row = 1; row < 6; ++row) EXPECT_EQ(after.scale[row], before.scale[row]);
  EXPECT_TRUE(
      std::equal(before.codes.begin() + kElems, before.codes.end(), after.codes.begin() + kElems));
}

TEST(RoundToNearest, ARowScaleIsNeverWorseThanOneForAll) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    std::vector<float> w = random_weights(seed);
    IntegerCodes rows = round_to_nearest(w, kRows, kElems, {8, true, true, true});
    IntegerCodes whole = round_to_nearest(w, kRows, kElems, {8, true, false, true});
    EXPECT_LT(rows.squared_error, whole.squared_error);
  }
}

TEST(RoundToNearest, ExtremesOfFloatGiveFiniteScales) {
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr float kDenormal = std::numeric_limits<float>::denorm_min();
  for (const std::vector<float>& w :
       {std::vector<float>{-kMax, kMax}, std::vector<float>{kDenormal, -kDenormal},
        std::vector<float>{kMax, kDenormal}, std::vector<float>{-0.0F, 0.0F}}) {
    for (bool symmetric : {true, false}) {
      for (bool search : {true, false}) {
        IntegerCodes c = round_to_nearest(w, 1, 2, {8, symmetric, true, search});
        EXPECT_TRUE(std::isfinite(c.scale[0]) && c.scale[0] > 0) << w[0];
        EXPECT_TRUE(std::isfinite(c.squared_error));
        for (int64_t k = 0; k < 2; ++k) {
          double e = std::abs(w[static_cast<size_t>(k)] - value_of(c, 0, k));
          EXPECT_LE(e, std::max(c.scale[0] * 0.51, search ? 0.2 * kMax : 0.0)) << w[0];
        }
      }
    }
  }
}

TEST(RoundToNearest, TheSameForAnyNumberOfThreads) {
  std::vector<float> w(64 * 1024);
  Random(5).fill_normal(w, 0, 1);
  IntegerCodes a = round_to_nearest(w, 64, 1024, {4, false, true, true});
  IntegerCodes b = round_to_nearest(w, 64, 1024, {4, false, true, true});
  EXPECT_EQ(a.codes, b.codes);
  EXPECT_EQ(a.squared_error, b.squared_error);
}

}  // namespace
}  // namespace fewbit
