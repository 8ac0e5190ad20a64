#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "formats/codec_checks_test.h"
#include "formats/format.h"
#include "formats/sherry.h"
#include "formats/weight_sources.h"
#include "numerics/half.h"

namespace fewbit {
namespace {

using testing::relative_error;
using testing::round_trip;
using testing::squared_error;

TEST(Sherry, GoldenBytes) {
  // Zero first, then + - +: index 0 | 4. Zero third, then - - +: index 2 | 8, sign.
  const std::vector<float> values = {0.1F, 1, -1, 1, -2, -2, 0.5F, 2};
  const PackedMatrix packed = encode(*parse_format("sherry1.25"), {values, 1, 8, {}}).value();
  EXPECT_EQ(packed.part("scales").span<Half>()[0], Half::from_float(1.5F));
  const std::span<const uint8_t> codes = packed.part("codes").span<uint8_t>();
  EXPECT_EQ(std::vector(codes.begin(), codes.end()), (std::vector<uint8_t>{4, 10, 0, 0, 2}));
  EXPECT_EQ(decode(packed), (std::vector<float>{0, 1.5F, -1.5F, 1.5F, -1.5F, -1.5F, 0, 1.5F}));
}

TEST(Sherry, Sizes) {
  EXPECT_EQ(stored_bytes(*parse_format("sherry1.25"), 8, 4096), 8 * (4096 * 5 / 32 + 32 * 2));
  EXPECT_EQ(bits_per_weight(*parse_format("sherry1.25"), 8, 4096), 1.375);
  EXPECT_EQ(stored_bytes(*parse_format("sherry1.25/channel:f32"), 2, 33), 2 * (2 * 5 + 4));
}

TEST(Sherry, EveryCodeHasOneZeroAndEveryPatternHasACode) {
  PackedMatrix packed = make_packed(*parse_format("sherry1.25/channel"), 1, 128);
  packed.part("scales").span<Half>()[0] = Half::from_float(1);
  // A chunk of 32 quads, quad q with code q: nibbles of quads j and j + 16, then signs.
  const std::span<uint8_t> bytes = packed.part("codes").span<uint8_t>();
  for (unsigned j = 0; j < 16; ++j) bytes[j] = static_cast<uint8_t>(j | j << 4);
  // Plane of 1 bit: bit k of byte j is quad j + 4 k, so that bits 4 to 7 are quads 16 to 31.
  for (unsigned j = 0; j < 4; ++j) bytes[16 + j] = 0xf0;
  const std::vector<float> values = decode(packed);
  std::vector<std::array<float, 4>> patterns;
  for (size_t q = 0; q < 32; ++q) {
    patterns.push_back({values[4 * q], values[4 * q + 1], values[4 * q + 2], values[4 * q + 3]});
    EXPECT_EQ(std::count(patterns.back().begin(), patterns.back().end(), 0.0F), 1) << q;
  }
  std::sort(patterns.begin(), patterns.end());
  EXPECT_EQ(std::unique(patterns.begin(), patterns.end()), patterns.end());
  for (const auto& pattern : patterns) {
    const std::vector<float> four(pattern.begin(), pattern.end());
    EXPECT_EQ(round_trip("sherry1.25", {four, 1, 4, {}}), four);
  }
}

// The least weighted error over all choices of zeros in three quads, each with its best alpha.
double least_error(std::span<const float> values, std::span<const float> importance) {
  double least = squared_error(values, std::vector<float>(values.size()), importance);
  for (unsigned choice = 0; choice < 64; ++choice) {
    const std::array<unsigned, 3> zeros = {choice & 3, choice >> 2 & 3, choice >> 4};
    double top = 0;
    double bottom = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      if (zeros[i / 4] == i % 4) continue;
      top += static_cast<double>(importance[i]) * std::fabs(values[i]);
      bottom += importance[i];
    }
    const double alpha = bottom > 0 ? top / bottom : 0;
    double error = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const double kept = zeros[i / 4] == i % 4 ? 0 : alpha;
      const double d = std::fabs(values[i]) - kept;
      error += importance[i] * d * d;
    }
    least = std::min(least, error);
  }
  return least;
}

TEST(Sherry, IsTheOptimumOfAllChoices) {
  Random random(9);
  for (int trial = 0; trial < 300; ++trial) {
    const int64_t cols = 9 + static_cast<int64_t>(random.below(4));
    std::vector<float> values(static_cast<size_t>(cols));
    random.fill_normal(values, 0, 1);
    std::vector<float> importance(values.size(), 1.0F);
    if (trial % 3 != 0) {
      for (float& w : importance) w = static_cast<float>(std::pow(random.uniform(), 3.0));
    }
    if (trial % 3 == 2) {
      for (size_t i = 0; i < importance.size(); i += 3) importance[i] = 0;
    }
    const auto decoded = round_trip("sherry1.25/channel:f32", {values, 1, cols, importance});
    const double least = least_error(values, importance);
    EXPECT_NEAR(squared_error(values, decoded, importance), least, 1e-5 * least + 1e-9) << trial;
  }
}

TEST(Sherry, TheRuleOfThePaperIsTheOptimumWhereAllCountAlike) {
  const auto values = student_values(4 * 512, 4);
  const EncodeInput in{values, 4, 512, {}};
  const Format format = *parse_format("sherry1.25");
  EXPECT_EQ(testing::bytes_of_parts(*encode(format, in, {false})),
            testing::bytes_of_parts(*encode(format, in, {true})));
}

TEST(Sherry, ErrorOnNormalWeightsIsAsTheoryHasIt) {
  // alpha = mean of the three larger of four half-normal magnitudes; the least of four has the mean
  // of its survival function, erfc(t / sqrt 2)^4.
  double least = 0;
  constexpr double kStep = 1e-4;
  for (int i = 0; i < 80'000; ++i) {
    const double t = (i + 0.5) * kStep;
    least += std::pow(std::erfc(t / std::sqrt(2.0)), 4.0) * kStep;
  }
  const double alpha = (4 * std::sqrt(2 / M_PI) - least) / 3;
  const double theory = 1 - 0.75 * alpha * alpha;
  const auto values = normal_values(64 * 4096, 1);
  const double error = relative_error("sherry1.25/channel", {values, 64, 4096, {}});
  EXPECT_NEAR(error, theory, 0.005 * theory);
  EXPECT_GT(error, std::pow(2.0, -2 * 1.25));  // Shannon's bound
  EXPECT_LT(error, 1 - 2 / M_PI);              // Lloyd-Max with 1 bit
  EXPECT_LT(relative_error("sherry1.25", {values, 64, 4096, {}}), error);
}

TEST(Sherry, ZeroAndEqualRows) {
  const std::vector<float> zeros(200);
  EXPECT_EQ(round_trip("sherry1.25", {zeros, 2, 100, {}}), zeros);
  const std::vector<float> equal(8, -0.5F);
  EXPECT_EQ(round_trip("sherry1.25", {equal, 1, 8, {}}),
            (std::vector<float>{0, -0.5F, -0.5F, -0.5F, 0, -0.5F, -0.5F, -0.5F}));
}

TEST(Sherry, Contract) {
  for (const char* name :
       {"sherry1.25", "sherry1.25/g64:bf16", "sherry1.25/g256:f32", "sherry1.25/channel"}) {
    testing::expect_sound(name);
    testing::expect_any_bits_decode(name);
    testing::expect_wide_range(name);
    testing::expect_importance_counts(name, 1.0);
  }
}

TEST(Sherry, AsTernaryItIsTheSame) {
  for (const char* name :
       {"sherry1.25", "sherry1.25/g16:bf16", "sherry1.25/g64:f32", "sherry1.25/channel"}) {
    for (const int64_t cols : {1, 37, 256, 301}) {
      const std::vector<float> values = normal_values(5 * cols, 2);
      const PackedMatrix packed = encode(*parse_format(name), {values, 5, cols, {}}).value();
      const PackedMatrix ternary = formats::sherry_as_ternary(packed);
      EXPECT_TRUE(check_parts(ternary).ok());
      EXPECT_EQ(decode(ternary), decode(packed)) << name << " " << cols;
    }
  }
}

}  // namespace
}  // namespace fewbit
