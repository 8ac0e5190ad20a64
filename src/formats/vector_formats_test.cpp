#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "formats/codec_checks_test.h"
#include "formats/format.h"
#include "formats/weight_sources.h"
#include "numerics/half.h"

namespace fewbit {
namespace {

using testing::relative_error;
using testing::round_trip;
using testing::squared_error;

TEST(Vector, Layout) {
  // Three vectors of 4, the last one ragged; two books.
  PackedMatrix packed = make_packed(*parse_format("vq4_2x8"), 1, 10);
  EXPECT_EQ(packed.part("codes").dims(), (Dims{1, 2, 8}));
  EXPECT_EQ(packed.part("books").dims(), (Dims{2, 256, 4}));
  packed.part("scales").span<Half>()[0] = Half::from_float(0.5F);
  const std::span<uint8_t> codes = packed.part("codes").span<uint8_t>();
  codes[0] = 7;
  codes[1] = 0;
  codes[2] = 255;
  codes[8] = 1;
  const std::span<int8_t> books = packed.part("books").span<int8_t>();
  for (size_t d = 0; d < 4; ++d) {
    books[7 * 4 + d] = static_cast<int8_t>(10 + d);
    books[255 * 4 + d] = static_cast<int8_t>(-100 - static_cast<int>(d));
    books[(256 + 1) * 4 + d] = 127;
  }
  EXPECT_EQ(decode(packed), (std::vector<float>{68.5F, 69, 69.5F, 70, 0, 0, 0, 0, -50, -50.5F}));
}

TEST(Vector, Sizes) {
  // codes, books, scales
  EXPECT_EQ(stored_bytes(*parse_format("vq2_1x6"), 4, 66), 4 * 5 * 6 + 64 * 2 + 4 * 2);
  EXPECT_EQ(stored_bytes(*parse_format("vq8_3x8/g64:f32"), 4, 4096),
            4 * 3 * 512 + 3 * 256 * 8 + 4 * 64 * 4);
  EXPECT_NEAR(bits_per_weight(*parse_format("vq8_2x8"), 4096, 4096), 2.006, 0.0005);
}

TEST(Vector, TheSameBytesEverywhere) {
  // No processor, instruction set or number of threads may change them.
  const auto values = student_values(48 * 264, 12);
  const auto importance = normal_values(264, 13);
  std::vector<float> squares;
  for (const float x : importance) squares.push_back(x * x);
  std::string all;
  for (const char* name : {"vq2_1x6", "vq4_2x8", "vq8_2x8/g64"}) {
    for (const std::span<const float> weights :
         {std::span<const float>(), std::span<const float>(squares)}) {
      const auto bytes =
          testing::bytes_of_parts(*encode(*parse_format(name), {values, 48, 264, weights}));
      all.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
  }
  EXPECT_EQ(sha256_hex(all), "c2ed1c0d774ba986dd4daa0ab8d80b3eed0b9a6eae9a7d3a50e6d18f402071db");
}

TEST(Vector, EveryWeightVectorHasItsNearestEntry) {
  for (const char* name : {"vq2_1x8:f32", "vq4_1x8:f32", "vq8_1x8:f32"}) {
    const Format format = *parse_format(name);
    const auto values = normal_values(24 * 128, 6);
    const PackedMatrix packed = *encode(format, {values, 24, 128, {}});
    const std::vector<float> decoded = decode(packed);
    const Tensor& books = packed.part("books");
    const int64_t dim = books.dim(2);
    for (int64_t v = 0; v < 24 * 128 / dim; ++v) {
      const float scale = packed.part("scales").span<float>()[static_cast<size_t>(v * dim / 128)];
      double power = 0;
      double least = std::numeric_limits<double>::infinity();
      double reached = 0;
      for (int64_t e = 0; e < books.dim(1); ++e) {
        double error = 0;
        for (int64_t d = 0; d < dim; ++d) {
          const double x = values[static_cast<size_t>(v * dim + d)];
          const double rest = x - static_cast<double>(scale) * books.data<int8_t>()[e * dim + d];
          error += rest * rest;
        }
        least = std::min(least, error);
      }
      for (int64_t d = 0; d < dim; ++d) {
        const auto at = static_cast<size_t>(v * dim + d);
        reached += std::pow(static_cast<double>(values[at]) - decoded[at], 2.0);
        power += static_cast<double>(values[at]) * values[at];
      }
      EXPECT_NEAR(reached, least, 1e-5 * least + 1e-6 * power) << name << " " << v;
    }
  }
}

TEST(Vector, ErrorLiesBetweenShannonsBoundAndTheScalarQuantizer) {
  constexpr int64_t kRows = 48;
  constexpr int64_t kCols = 1024;
  const auto values = normal_values(kRows * kCols, 8);
  const EncodeInput in{values, kRows, kCols, {}};
  struct Expected {
    const char* name;
    double bits;
    double lloyd_max;  // of a scalar quantizer with as many bits: J. Max, 1960, table I
  };
  for (const Expected& e : {Expected{"vq8_1x8", 1, 0.3634}, Expected{"vq4_1x8", 2, 0.1175},
                            Expected{"vq8_2x8", 2, 0.1175}, Expected{"vq2_1x6", 3, 0.03454},
                            Expected{"vq2_1x8", 4, 0.009497}, Expected{"vq4_2x8", 4, 0.009497}}) {
    const double error = relative_error(e.name, in);
    EXPECT_GT(error, std::pow(2.0, -2 * e.bits)) << e.name;
    EXPECT_LT(error, 0.92 * e.lloyd_max) << e.name;
  }
  EXPECT_LT(relative_error("vq8_2x8", in), relative_error("vq4_1x8", in));
  EXPECT_LT(relative_error("vq4_1x8/g64", in), relative_error("vq4_1x8", in));
  EXPECT_LT(relative_error("vq8_2x8", in), relative_error("vq8_2x8", in, {false}));
}

TEST(Vector, SearchPaysWhereThereAreHardlyMoreVectorsThanEntries) {
  const auto values = normal_values(32 * 256, 5);
  for (const char* name : {"vq4_2x8", "vq8_2x8", "vq8_3x8"}) {
    EXPECT_LT(relative_error(name, {values, 32, 256, {}}),
              relative_error(name, {values, 32, 256, {}}, {false}))
        << name;
  }
}

TEST(Vector, PairsOnAPlaneAreFoundAgain) {
  // Fewer different pairs than entries, all multiples of 1/127 of the largest.
  std::vector<float> values;
  for (int i = 0; i < 600; ++i) {
    values.push_back(static_cast<float>(i * 7 % 5 - 2));
    values.push_back(static_cast<float>(i * 3 % 10) / 5 - 1);
  }
  const auto decoded = round_trip("vq2_1x8:f32", {values, 4, 300, {}});
  EXPECT_LT(squared_error(values, decoded),
            1e-4 * squared_error(values, std::vector<float>(values.size())));
}

TEST(Vector, Contract) {
  for (const char* name : {"vq2_1x6", "vq4_2x8/g16:bf16", "vq8_1x8/g64:f32", "vq8_3x8"}) {
    testing::expect_sound(name);
    testing::expect_plain_rows(name, 0.02);
    testing::expect_any_bits_decode(name);
    testing::expect_wide_range(name);
  }
  for (const char* name : {"vq2_1x6", "vq4_1x8/g64", "vq8_2x8"}) {
    testing::expect_importance_counts(name, 0.8, 64);
  }
}

}  // namespace
}  // namespace fewbit
