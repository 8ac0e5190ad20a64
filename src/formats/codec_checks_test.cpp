#include "formats/codec_checks_test.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "base/random.h"
#include "base/threads.h"
#include "formats/weight_sources.h"

namespace fewbit::testing {
namespace {

struct Shape {
  int64_t rows;
  int64_t cols;
};
constexpr Shape kShapes[] = {{1, 1}, {3, 7}, {2, 33}, {5, 130}, {17, 64}, {19, 259}, {18, 600}};

Format parsed(std::string_view name) {
  const Result<Format> format = parse_format(name);
  EXPECT_TRUE(format.ok()) << format.error().message();
  return format.value();
}

PackedMatrix encoded(const Format& format, const EncodeInput& in,
                     const EncodeOptions& options = {}) {
  Result<PackedMatrix> packed = encode(format, in, options);
  EXPECT_TRUE(packed.ok()) << packed.error().message();
  return packed.ok() ? std::move(packed).value() : make_packed(format, in.rows, in.cols);
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

}  // namespace

double squared_error(std::span<const float> a, std::span<const float> b,
                     std::span<const float> importance) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - b[i];
    sum += (importance.empty() ? 1.0 : importance[i % importance.size()]) * d * d;
  }
  return sum;
}

std::vector<float> round_trip(std::string_view format, const EncodeInput& in,
                              const EncodeOptions& options) {
  return decode(encoded(parsed(format), in, options));
}

double relative_error(std::string_view format, const EncodeInput& in,
                      const EncodeOptions& options) {
  const std::vector<float> zeros(in.values.size());
  return squared_error(in.values, round_trip(format, in, options), in.importance) /
         squared_error(in.values, zeros, in.importance);
}

std::vector<uint8_t> bytes_of_parts(const PackedMatrix& matrix) {
  std::vector<uint8_t> bytes;
  for (const Tensor& part : matrix.parts) {
    const auto* begin = reinterpret_cast<const uint8_t*>(part.raw());
    bytes.insert(bytes.end(), begin, begin + part.bytes());
  }
  return bytes;
}

void expect_sound(std::string_view name) {
  const Format format = parsed(name);
  EXPECT_EQ(parsed(format.name()), format);
  for (const Shape shape : kShapes) {
    for (const bool search : {false, true}) {
      SCOPED_TRACE(fmt::format("{} [{}, {}] search {}", name, shape.rows, shape.cols, search));
      const auto values = student_values(shape.rows * shape.cols, 5);
      const EncodeInput in{values, shape.rows, shape.cols, {}};
      const PackedMatrix packed = encoded(format, in, {search});
      EXPECT_TRUE(check_parts(packed).ok());
      const std::vector<float> all = decode(packed);
      EXPECT_TRUE(all_finite(all));
      std::vector<float> row(static_cast<size_t>(shape.cols));
      for (int64_t r = 0; r < shape.rows; ++r) {
        decode_rows(packed, r, r + 1, row);
        EXPECT_TRUE(std::equal(row.begin(), row.end(), all.begin() + r * shape.cols)) << r;
      }
      for (const int threads : {1, 3}) {
        set_threads(threads);
        EXPECT_EQ(bytes_of_parts(encoded(format, in, {search})), bytes_of_parts(packed)) << threads;
      }
      set_threads(0);
    }
  }
}

void expect_plain_rows(std::string_view name, double tolerance) {
  constexpr int64_t kCols = 70;
  constexpr float kConstants[] = {0, 0.75F, 0, -3.0F, 0};
  std::vector<float> values;
  for (const float c : kConstants) values.insert(values.end(), kCols, c);
  for (const bool search : {false, true}) {
    const auto decoded = round_trip(
        name, {values, static_cast<int64_t>(std::size(kConstants)), kCols, {}}, {search});
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(decoded[i], values[i], tolerance * std::fabs(values[i])) << name << " " << i;
    }
  }
}

void expect_any_bits_decode(std::string_view name) {
  const Format format = parsed(name);
  Random random(11);
  for (const Shape shape : kShapes) {
    PackedMatrix packed = make_packed(format, shape.rows, shape.cols);
    for (int kind = 0; kind < 3; ++kind) {
      for (Tensor& part : packed.parts) {
        auto* bytes = reinterpret_cast<uint8_t*>(part.raw());
        for (int64_t i = 0; i < part.bytes(); ++i) {
          bytes[i] = kind == 0 ? 0 : kind == 1 ? 0xff : static_cast<uint8_t>(random.next());
        }
      }
      const std::vector<float> once = decode(packed);
      const std::vector<float> twice = decode(packed);
      EXPECT_EQ(std::memcmp(once.data(), twice.data(), once.size() * sizeof(float)), 0);
      if (kind == 0) {
        EXPECT_TRUE(all_finite(once)) << name;
      }
    }
  }
}

void expect_wide_range(std::string_view name) {
  const Format format = parsed(name);
  constexpr int64_t kCols = 48;
  for (const float magnitude : {1e-45F, 1e-40F, 1e-30F, 1e-8F, 1e-4F, 1.0F, 1e4F, 1e30F, 3e38F}) {
    for (const bool search : {false, true}) {
      SCOPED_TRACE(fmt::format("{} times {} search {}", name, magnitude, search));
      std::vector<float> values = normal_values(2 * kCols, 3);
      for (float& x : values) x = std::clamp(x / 3, -1.0F, 1.0F) * magnitude;
      values[kCols + 5] = magnitude;
      const Result<PackedMatrix> packed = encode(format, {values, 2, kCols, {}}, {search});
      if (!packed.ok()) {
        EXPECT_GT(magnitude, 1e5F);
        EXPECT_EQ(packed.error().kind(), ErrorKind::kBadInput);
        EXPECT_NE(packed.error().message().find("row 0"), std::string::npos)
            << packed.error().message();
        continue;
      }
      const std::vector<float> decoded = decode(*packed);
      EXPECT_TRUE(all_finite(decoded));
      if (magnitude < 1e-4F) continue;  // float16 keeps only the magnitude there
      EXPECT_GT(std::fabs(decoded[kCols + 5]), 0);
      EXPECT_LT(squared_error(values, decoded),
                squared_error(values, std::vector<float>(2 * kCols)));
    }
  }
}

void expect_importance_counts(std::string_view name, double slack, int64_t rows) {
  constexpr int64_t kCols = 320;
  const auto values = student_values(rows * kCols, 21);
  Random random(22);
  for (const bool by_element : {false, true}) {
    SCOPED_TRACE(fmt::format("{} by element {}", name, by_element));
    std::vector<float> importance(by_element ? values.size() : kCols);
    for (float& w : importance) w = static_cast<float>(std::pow(random.uniform(), 4.0) * 50);
    for (size_t i = 0; i < importance.size(); i += 5) importance[i] = 0;
    const auto plain = round_trip(name, {values, rows, kCols, {}});
    const auto weighted = round_trip(name, {values, rows, kCols, importance});
    EXPECT_LE(squared_error(values, weighted, importance),
              slack * squared_error(values, plain, importance));
    std::vector<float> other = values;
    for (size_t i = 0; i < other.size(); ++i) {
      if (importance[i % importance.size()] == 0) other[i] = 1 + static_cast<float>(i % 3);
    }
    const auto again = round_trip(name, {other, rows, kCols, importance});
    EXPECT_NEAR(
        squared_error(other, again, importance) / squared_error(values, weighted, importance), 1,
        0.03);
  }
}

}  // namespace fewbit::testing
