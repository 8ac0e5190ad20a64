#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "formats/codec_checks_test.h"
#include "formats/format.h"
#include "formats/weight_sources.h"
#include "numerics/half.h"

namespace fewbit {
namespace {

using testing::relative_error;
using testing::round_trip;
using testing::squared_error;

// The levels of a table, read back through decode: one group of 16 with every code and scale 1 (or
// the next float16 above it, whose lowest bit is set).
std::vector<float> table_of(int bits, unsigned which) {
  PackedMatrix packed = make_packed(*parse_format(fmt::format("dual{}/g16:f32", bits)), 1, 16);
  packed.part("scales").span<float>()[0] = which == 0 ? 1.0F : std::nextafter(1.0F, 2.0F);
  const std::span<uint8_t> codes = packed.part("codes").span<uint8_t>();
  for (size_t j = 0; j < codes.size() && bits == 4; ++j)
    codes[j] = static_cast<uint8_t>(j | (j + 8) << 4);
  if (bits == 3) {  // codes j % 8: planes of 2 bits (j, j + 4, j + 8, j + 12), then of 1 bit
    for (size_t j = 0; j < 4; ++j) codes[j] = static_cast<uint8_t>(j * 0b01010101);
    codes[4] = 0b11001100;  // bit k of byte j is code j + 2 k, set from 4 to 7 and 12 to 15
    codes[5] = 0b11001100;
  }
  std::vector<float> levels = decode(packed);
  levels.resize(size_t{1} << bits);
  for (float& level : levels) level = std::round(level);
  return levels;
}

TEST(Dual, TablesAreInOrderAndOfInt8) {
  for (const int bits : {3, 4}) {
    for (const unsigned which : {0, 1}) {
      const std::vector<float> levels = table_of(bits, which);
      EXPECT_EQ(levels.back(), 127);
      EXPECT_GE(levels.front(), -127);
      EXPECT_EQ(std::adjacent_find(levels.begin(), levels.end(), std::greater_equal<>()),
                levels.end());
    }
    EXPECT_NE(table_of(bits, 0), table_of(bits, 1));
  }
}

TEST(Dual, GoldenBytes) {
  // 0.5 times every level of the second table, mirrored.
  std::vector<float> values = table_of(3, 1);
  for (float& x : values) x *= -0.5F;
  const PackedMatrix packed = encode(*parse_format("dual3"), {values, 1, 8, {}}).value();
  const uint16_t scale = packed.part("scales").span<Half>()[0].bits;
  EXPECT_EQ(scale, 0xb7ff);  // next to -0.5 (0xb800), with the bit that says the second table
  const std::span<const uint8_t> codes = packed.part("codes").span<uint8_t>();
  // Codes 0 to 7: the plane of 2 bits has byte j = j, j + 2, j + 4, j + 6; that of 1 bit 4 to 7.
  EXPECT_EQ(std::vector(codes.begin(), codes.end()),
            (std::vector<uint8_t>{0b10001000, 0b11011101, 0b11110000}));
  const std::vector<float> decoded = decode(packed);
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(decoded[i], values[i], std::fabs(values[i]) * 0x1p-10) << i;
  }
}

TEST(Dual, Sizes) {
  EXPECT_EQ(bits_per_weight(*parse_format("dual4"), 4, 4096), 4.5);
  EXPECT_EQ(bits_per_weight(*parse_format("dual3/g64:bf16"), 4, 4096), 3.25);
  EXPECT_EQ(stored_bytes(*parse_format("dual3/g16"), 3, 33), 3 * (5 * 3 + 3 * 2));
}

// The least error over every scale, table and side: between two scales at which some element
// changes its level, the best scale is known.
double least_error(const std::vector<float>& values, int bits) {
  double power = 0;
  for (const float x : values) power += static_cast<double>(x) * x;
  double best_gain = 0;
  for (const unsigned which : {0, 1}) {
    const std::vector<float> levels = table_of(bits, which);
    for (const double side : {1.0, -1.0}) {
      std::vector<double> changes = {1e-12};
      for (const float x : values) {
        for (size_t k = 0; k + 1 < levels.size(); ++k) {
          const double at = side * x * 2 / (levels[k] + levels[k + 1]);
          if (std::isfinite(at) && at > 0) changes.push_back(at);
        }
      }
      std::sort(changes.begin(), changes.end());
      for (const double change : changes) {
        double dot = 0;
        double norm = 0;
        for (const float x : values) {
          const double t = side * x / (change * (1 + 1e-9));
          const auto near = *std::min_element(levels.begin(), levels.end(), [&](float a, float b) {
            return std::fabs(a - t) < std::fabs(b - t);
          });
          dot += side * x * near;
          norm += static_cast<double>(near) * near;
        }
        if (dot > 0 && norm > 0) best_gain = std::max(best_gain, dot * dot / norm);
      }
    }
  }
  return power - best_gain;
}

TEST(Dual, TheSearchComesNearTheOptimum) {
  for (const int bits : {3, 4}) {
    double least = 0;
    double reached = 0;
    for (uint64_t seed = 0; seed < 40; ++seed) {
      const auto values = seed % 2 == 0 ? normal_values(32, seed) : student_values(32, seed);
      const auto decoded = round_trip(fmt::format("dual{}:f32", bits), {values, 1, 32, {}});
      const double error = squared_error(values, decoded);
      const double optimum = least_error(values, bits);
      EXPECT_GT(error, optimum * (1 - 1e-4));
      least += optimum;
      reached += error;
    }
    EXPECT_LT(reached / least, 1.03) << bits;
  }
}

TEST(Dual, ErrorIsThatOfTheDesign) {
  // What scripts/design_dual_tables.py prints for its own, coarser search, relative to the energy
  // of each group; here relative to the energy of all. Bounds: Lloyd-Max with as many bits as are
  // stored lies above, Shannon's bound below.
  const auto normal = normal_values(64 * 4096, 3);
  const EncodeInput in{normal, 64, 4096, {}};
  const double three = relative_error("dual3", in);
  EXPECT_NEAR(three, 0.0215, 0.0005);
  EXPECT_LT(three, 0.03455);
  EXPECT_GT(three, std::pow(2.0, -2 * 3.5));
  const double four = relative_error("dual4", in);
  EXPECT_NEAR(four, 0.0050, 0.00015);
  EXPECT_LT(four, 0.009501);
  EXPECT_GT(four, std::pow(2.0, -2 * 4.5));
  EXPECT_LT(relative_error("dual4/g16", in), four);
  EXPECT_LT(four, relative_error("dual4", in, {false}));
  EXPECT_LT(relative_error("dual4:bf16", in) / four, 1.01);
}

TEST(Dual, TheLowestBitOfTheScaleCostsNothing) {
  // A float32 scale's lowest bit moves it by 2^-23 of itself, a float16 scale's by 2^-10.
  const auto values = student_values(64 * 1024, 4);
  const EncodeInput in{values, 64, 1024, {}};
  for (const char* name : {"dual3", "dual4"}) {
    EXPECT_LT(relative_error(name, in) / relative_error(std::string(name) + ":f32", in), 1.002);
  }
}

TEST(Dual, ZerosAndOneLargeValue) {
  const std::vector<float> zeros(64);
  EXPECT_EQ(round_trip("dual3", {zeros, 2, 32, {}}), zeros);
  std::vector<float> spike(32);
  spike[7] = -4;
  for (const bool search : {false, true}) {
    EXPECT_NEAR(round_trip("dual4", {spike, 1, 32, {}}, {search})[7], -4, 0.3);
  }
}

TEST(Dual, Contract) {
  for (const char* name : {"dual3", "dual4", "dual3/g16:f32", "dual4/g64:bf16", "dual4/g256"}) {
    testing::expect_sound(name);
    testing::expect_plain_rows(name, 8e-3);
    testing::expect_any_bits_decode(name);
    testing::expect_wide_range(name);
    testing::expect_importance_counts(name, 1.0);
  }
}

}  // namespace
}  // namespace fewbit
