#include <gtest/gtest.h>
#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <vector>

#include "formats/codec_checks_test.h"
#include "formats/format.h"
#include "formats/weight_sources.h"
#include "numerics/half.h"

namespace fewbit {
namespace {

using testing::relative_error;
using testing::round_trip;

TEST(Codebook, GoldenBytes) {
  const std::vector<float> values = {1, 2, 2, -4, 8, 8, 8, 1, 2};
  const PackedMatrix packed = encode(*parse_format("codebook2"), {values, 1, 9, {}}).value();
  EXPECT_EQ(decode(packed), values);
  const std::span<const Half> levels = packed.part("levels").span<Half>();
  const std::vector<float> expected = {-4, 1, 2, 8};
  for (size_t k = 0; k < 4; ++k) EXPECT_EQ(levels[k], Half::from_float(expected[k]));
  // Codes 1 2 2 0 3 3 3 1 2 and zeros up to 16, as planes of 2 bits: byte j holds j, j + 4, j + 8
  // and j + 12.
  const std::span<const uint8_t> codes = packed.part("codes").span<uint8_t>();
  EXPECT_EQ(std::vector(codes.begin(), codes.end()),
            (std::vector<uint8_t>{0b00101101, 0b00001110, 0b00001110, 0b00000100}));
}

TEST(Codebook, Sizes) {
  EXPECT_EQ(bits_per_weight(*parse_format("codebook4"), 8, 4096), 4.0625);
  EXPECT_EQ(bits_per_weight(*parse_format("codebook3/g128"), 8, 4096), 4);
  EXPECT_EQ(bits_per_weight(*parse_format("codebook2/g64"), 8, 4096), 3);
  EXPECT_EQ(bits_per_weight(*parse_format("codebook2/g64:f32"), 8, 4096), 4);
  EXPECT_EQ(stored_bytes(*parse_format("codebook3/tensor"), 10, 15), 10 * 6 + 16);
}

TEST(Codebook, EveryCodeDecodesToItsLevel) {
  PackedMatrix packed = make_packed(*parse_format("codebook4"), 1, 16);
  for (int k = 0; k < 16; ++k) {
    packed.part("levels").span<Half>()[static_cast<size_t>(k)] =
        Half::from_float(static_cast<float>(k * k));
  }
  const std::span<uint8_t> codes = packed.part("codes").span<uint8_t>();
  for (size_t j = 0; j < 8; ++j) codes[j] = static_cast<uint8_t>(j | (j + 8) << 4);
  const std::vector<float> decoded = decode(packed);
  for (int k = 0; k < 16; ++k)
    EXPECT_EQ(decoded[static_cast<size_t>(k)], static_cast<float>(k * k));
}

// The levels of least error for a normal source (Lloyd-Max), by Lloyd's iteration on its density.
double lloyd_max_error(int count) {
  std::vector<double> levels(static_cast<size_t>(count));
  for (int k = 0; k < count; ++k) {
    levels[static_cast<size_t>(k)] = (k + 0.5) * 6 / count - 3;
  }
  const auto density = [](double x) { return std::exp(-x * x / 2) / std::sqrt(2 * M_PI); };
  const auto below = [](double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; };
  double power = 0;  // of the levels: E[q^2] = E[q x], so that the error is 1 - E[q^2]
  for (int round = 0; round < 20000; ++round) {
    power = 0;
    double low = -std::numeric_limits<double>::infinity();
    std::vector<double> next(levels.size());
    for (size_t k = 0; k < levels.size(); ++k) {
      const double high = k + 1 < levels.size() ? (levels[k] + levels[k + 1]) / 2
                                                : std::numeric_limits<double>::infinity();
      const double mass = below(high) - below(low);
      next[k] = (density(low) - density(high)) / mass;
      power += mass * next[k] * next[k];
      low = high;
    }
    levels = next;
  }
  return 1 - power;
}

TEST(Codebook, ErrorOnNormalWeightsIsThatOfLloydAndMax) {
  EXPECT_NEAR(lloyd_max_error(4), 0.1175, 0.0001);  // J. Max, 1960, table I
  const auto values = normal_values(16 * 8192, 2);
  for (const int bits : {2, 3, 4}) {
    const double theory = lloyd_max_error(1 << bits);
    const std::string name = fmt::format("codebook{}", bits);
    // A row's own levels fit its 8192 values a little better than the levels of the source would.
    const double error = relative_error(name, {values, 16, 8192, {}});
    EXPECT_LT(error, theory * 1.005) << name;
    EXPECT_GT(error, theory * 0.96) << name;
    EXPECT_GT(error, std::pow(2.0, -2.0 * bits)) << name;  // Shannon's bound
    EXPECT_NEAR(relative_error(name + "/tensor", {values, 16, 8192, {}}) / theory, 1, 0.01) << name;
    EXPECT_LT(relative_error(name + "/g64", {values, 16, 8192, {}}), error);
    EXPECT_LE(error, relative_error(name, {values, 16, 8192, {}}, {false}) * (1 + 1e-5));
  }
}

TEST(Codebook, TheTypeOfTheLevels) {
  const auto values = normal_values(2048, 7);
  const EncodeInput in{values, 4, 512, {}};
  EXPECT_NEAR(relative_error("codebook4:f32", in) / relative_error("codebook4", in), 1, 1e-3);
  const std::vector<float> huge = {1e30F, 2e30F, -1e30F, 1};
  EXPECT_EQ(round_trip("codebook2:f32", {huge, 1, 4, {}}), huge);
  const Result<PackedMatrix> refused = encode(*parse_format("codebook2"), {huge, 1, 4, {}});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message().find("f16 holds at most 65504"), std::string::npos)
      << refused.error().message();
}

TEST(Codebook, OneCodebookForMoreValuesThanAreSorted) {
  const auto values = student_values(300 * 256, 6);
  const EncodeInput in{values, 300, 256, {}};
  const double shared = relative_error("codebook3/tensor", in);
  const double own = relative_error("codebook3", in);
  EXPECT_GT(shared, own);
  EXPECT_LT(shared, relative_error("codebook3/tensor", in, {false}));
}

TEST(Codebook, Contract) {
  for (const char* name :
       {"codebook2", "codebook3/g64", "codebook4/g128:f32", "codebook4/tensor", "codebook3:bf16"}) {
    testing::expect_sound(name);
    testing::expect_plain_rows(name, 1e-3);
    testing::expect_any_bits_decode(name);
    testing::expect_wide_range(name);
    testing::expect_importance_counts(name, 1.001);
  }
}

}  // namespace
}  // namespace fewbit
