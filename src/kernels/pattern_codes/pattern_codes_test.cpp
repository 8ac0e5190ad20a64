#include "kernels/pattern_codes/pattern_codes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/product_test_support.h"

namespace fewbit {
namespace {

// Within half a unit in the last place for each group (one fma), and for the conversion of its sum,
// the scale of x and the bias; and the same bits on every instruction set.
void check(const char* format, int64_t m, int64_t n, int64_t k, bool with_bias) {
  const PackedMatrix w = packed_normal(format, n, k, static_cast<uint64_t>(n + k));
  const std::vector<float> x = normal_floats(m * k, 7);
  const std::vector<float> bias = with_bias ? normal_floats(n, 9) : std::vector<float>();
  const RoundedProduct wanted = rounded_product(w, x, m, bias);
  std::vector<float> first;
  for (const Isa isa : kAllIsas) {
    if (!isa_runs_here(isa)) continue;
    const Result<PatternGemm> gemm = PatternGemm::prepare(w, bias, isa);
    ASSERT_TRUE(gemm.ok()) << gemm.error().message();
    for (const int threads : {1, 3}) {
      std::vector<float> y(static_cast<size_t>(m * n), NAN);
      gemm->run({.m = m, .x = x.data(), .y = y.data()}, threads);
      if (first.empty()) first = y;
      for (size_t i = 0; i < y.size(); ++i) {
        const double tolerance = wanted.magnitude[i] * static_cast<double>(k / 16 + 5) * 0x1p-24;
        ASSERT_NEAR(y[i], wanted.y[i], tolerance)
            << format << " " << name_of(isa) << " [" << m << ", " << n << ", " << k << "] at " << i;
        ASSERT_EQ(y[i], first[i]) << format << " " << name_of(isa) << " at " << i;
      }
    }
  }
}

constexpr const char* kFormats[] = {"sherry1.25",
                                    "sherry1.25/g16",
                                    "sherry1.25/g48:f32",
                                    "sherry1.25/channel",
                                    "ternary",
                                    "ternary/tensor",
                                    "ternary/g16",
                                    "ternary/g32:u6",
                                    "ternary1.67/g64",
                                    "ternary1.6/channel",
                                    "ternary1.6/g96:f32",
                                    "ternary1.6",
                                    "tq1_0",
                                    "tq2_0"};

TEST(PatternGemm, EveryFormatGroupAndShape) {
  for (const char* format : kFormats) {
    for (const auto& [n, k] : std::vector<std::pair<int64_t, int64_t>>{
             {16, 32}, {1, 1}, {5, 17}, {33, 172}, {40, 256}, {18, 770}}) {
      check(format, 1, n, k, false);
      check(format, 3, n, k, true);
      check(format, 9, n, k, true);
    }
  }
}

// Groups of 1 to 67 codes: blocks, tails of every length, and the 31 codes that make a block.
TEST(PatternGemm, EveryLengthOfTail) {
  for (int64_t codes = 1; codes <= 67; ++codes) {
    check("ternary1.6/channel", 1, 3, 3 * codes, false);
    check("ternary1.6/channel", 1, 3, 3 * codes - 2, false);
    check("sherry1.25/channel", 1, 3, 4 * codes - codes % 4, false);
  }
}

// Several panels at a time, with what is left over, for every number of rows.
TEST(PatternGemm, EveryNumberOfRows) {
  for (int64_t m = 1; m <= 10; ++m) {
    check("sherry1.25", m, 150, 260, true);
    check("ternary1.6", m, 166, 388, true);
  }
  check("ternary1.67", 70, 200, 320, true);
}

TEST(PatternGemm, RowsOfZerosAndOfNaN) {
  const PackedMatrix w = packed_normal("sherry1.25", 20, 64, 1);
  const std::vector<float> bias(20, 0.5F);
  std::vector<float> x(4 * 64, 0.0F);
  x[64 + 3] = std::numeric_limits<float>::quiet_NaN();
  x[128 + 9] = std::numeric_limits<float>::infinity();
  x[192] = 1;
  for (const Isa isa : kAllIsas) {
    if (!isa_runs_here(isa)) continue;
    const Result<PatternGemm> gemm = PatternGemm::prepare(w, bias, isa);
    ASSERT_TRUE(gemm.ok());
    std::vector<float> y(4 * 20);
    gemm->run({.m = 4, .x = x.data(), .y = y.data()}, 2);
    for (size_t n = 0; n < 20; ++n) {
      EXPECT_EQ(y[n], 0.5F);
      EXPECT_TRUE(std::isnan(y[20 + n]));
      EXPECT_TRUE(std::isnan(y[40 + n]));
      EXPECT_TRUE(std::isfinite(y[60 + n]));
    }
  }
}

// Groups whose scale is zero.
TEST(PatternGemm, WeightsOfZero) {
  const std::vector<float> zeros(size_t{17} * 300, 0.0F);
  const std::vector<float> x = normal_floats(300, 3);
  for (const char* format : {"sherry1.25/g64", "ternary1.6"}) {
    const PackedMatrix w = *encode(*parse_format(format), {zeros, 17, 300, {}});
    std::vector<float> y(17, NAN);
    PatternGemm::prepare(w, {})->run({.m = 1, .x = x.data(), .y = y.data()}, 1);
    for (const float value : y) EXPECT_EQ(value, 0.0F);
  }
}

TEST(PatternGemm, StridesAreHeeded) {
  const PackedMatrix w = packed_normal("ternary1.6/g32", 18, 40, 1);
  const std::vector<float> x = normal_floats(3 * 50, 2);
  std::vector<float> dense;
  for (int64_t i = 0; i < 3; ++i)
    dense.insert(dense.end(), x.begin() + i * 50, x.begin() + i * 50 + 40);
  const Result<PatternGemm> gemm = PatternGemm::prepare(w, {});
  std::vector<float> a(3 * 18), b(3 * 25, -1.0F);
  gemm->run({.m = 3, .x = dense.data(), .y = a.data()}, 1);
  gemm->run({.m = 3, .x = x.data(), .x_stride = 50, .y = b.data(), .y_stride = 25}, 2);
  for (size_t i = 0; i < 3; ++i) {
    for (size_t n = 0; n < 25; ++n) EXPECT_EQ(b[i * 25 + n], n < 18 ? a[i * 18 + n] : -1.0F);
  }
}

TEST(PatternGemm, TakesTheBitsItSays) {
  // 5 dwords for 32 codes, and a float16.
  const PatternGemm sherry = *PatternGemm::prepare(packed_normal("sherry1.25", 32, 1024, 1), {});
  EXPECT_EQ(sherry.packed_bytes(), 32 * 1024 * (5 * 32 + 16) / 128 / 8);
  const PatternGemm ternary =
      *PatternGemm::prepare(packed_normal("ternary1.6/channel", 16, 960, 1), {});
  EXPECT_EQ(ternary.packed_bytes(), 16 * (960 * 5 / 3 + 16) / 8);
}

TEST(PatternGemm, RefusesWhatHasNoPattern) {
  for (const char* format : {"int2/g32", "binary", "nf4", "vq4_1x8", "q2_K"}) {
    const Result<PatternGemm> gemm = PatternGemm::prepare(packed_normal(format, 16, 256, 1), {});
    ASSERT_FALSE(gemm.ok());
    EXPECT_NE(gemm.error().message().find(format), std::string::npos);
    EXPECT_FALSE(has_pattern_codes(*parse_format(format), 256));
  }
  // Storage of 2 bits can hold a fourth code.
  PackedMatrix w = packed_normal("tq2_0", 2, 256, 1);
  w.parts[0].data<uint8_t>()[0] |= 3;
  const Result<PatternGemm> gemm = PatternGemm::prepare(w, {});
  ASSERT_FALSE(gemm.ok());
  EXPECT_NE(gemm.error().message().find("above 2"), std::string::npos);
}

}  // namespace
}  // namespace fewbit
