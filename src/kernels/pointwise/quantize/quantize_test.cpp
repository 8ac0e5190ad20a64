// Every width against the formulas of quantize.h spelled plainly; all results must be equal, not
// close.
#include "kernels/pointwise/quantize/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

constexpr Simd kLevels[] = {Simd::kScalar, Simd::kAvx2, Simd::kAvx512};

template <typename T>
T reference(float x, float scale, int32_t zero) {
  const float lo = float(std::numeric_limits<T>::min()) - float(zero);
  const float hi = float(std::numeric_limits<T>::max()) - float(zero);
  float t = x / scale;
  t = t > lo ? t : lo;
  t = t < hi ? t : hi;
  return static_cast<T>(static_cast<int32_t>(std::nearbyintf(t)) + zero);
}

/// Random values, exact ties and their neighbours, and the awkward ones.
std::vector<float> inputs(float scale, int64_t n, unsigned seed) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<float> uniform(-200.0f, 200.0f);
  std::vector<float> x(static_cast<size_t>(n));
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = uniform(rng) * scale;
    if (i % 3 == 1) x[i] = (std::floor(x[i] / scale) + 0.5f) * scale;
    if (i % 7 == 2) x[i] = std::nextafter(x[i], INFINITY);
    if (i % 11 == 3) x[i] = std::nextafter(x[i], -INFINITY);
  }
  const float special[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e30f, -1e30f, 1e-40f};
  for (size_t i = 0; i < std::size(special) && i * 5 < x.size(); ++i) x[i * 5] = special[i];
  return x;
}

template <typename T>
void check_quantize(DType type) {
  for (Simd level : kLevels) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (float scale : {1.0f, 0.1f, 0.003921569f, 1.7e-5f, 3e-39f, 1e31f, 1.0f / 127.5f})
      for (int32_t zero :
           {0, 7, int32_t(std::numeric_limits<T>::max()), int32_t(std::numeric_limits<T>::min())})
        for (int64_t n : {1, 15, 16, 17, 40, 5000}) {
          const auto x = inputs(scale, n, 1);
          std::vector<T> got(x.size() + 1, T(99));
          quantize(x.data(), got.data(), type, n, scale, zero);
          for (size_t i = 0; i < x.size(); ++i)
            ASSERT_EQ(got[i], reference<T>(x[i], scale, zero))
                << x[i] << " / " << scale << " + " << zero << " level " << int(level);
          ASSERT_EQ(got.back(), T(99));
          std::vector<float> back(x.size() + 1, 99.0f);
          dequantize(got.data(), type, back.data(), n, scale, zero);
          for (size_t i = 0; i < x.size(); ++i)
            ASSERT_EQ(back[i], float(int32_t(got[i]) - zero) * scale);
          ASSERT_EQ(back.back(), 99.0f);
        }
  }
}

TEST(Quantize, Uint8) {
  check_quantize<uint8_t>(DType::kUint8);
}
TEST(Quantize, Int8) {
  check_quantize<int8_t>(DType::kInt8);
}
TEST(Quantize, Uint16) {
  check_quantize<uint16_t>(DType::kUint16);
}
TEST(Quantize, Int16) {
  check_quantize<int16_t>(DType::kInt16);
}

TEST(Quantize, PerChannelOnEitherSide) {
  const int64_t outer = 3, channels = 21;
  std::vector<float> scale;
  std::vector<int32_t> zero;
  for (int64_t c = 0; c < channels; ++c) {
    scale.push_back(0.01f * float(c + 1));
    zero.push_back(int32_t(c) - 10);
  }
  for (Simd level : kLevels) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (int64_t inner : {1, 19}) {
      const auto x = inputs(0.1f, outer * channels * inner, 2);
      std::vector<int8_t> got(x.size());
      std::vector<float> back(x.size());
      quantize_axis(x.data(), got.data(), DType::kInt8, outer, channels, inner, scale.data(),
                    zero.data());
      dequantize_axis(got.data(), DType::kInt8, back.data(), outer, channels, inner, scale.data(),
                      zero.data());
      for (size_t i = 0; i < x.size(); ++i) {
        const size_t c = i / inner % channels;
        ASSERT_EQ(got[i], reference<int8_t>(x[i], scale[c], zero[c]));
        ASSERT_EQ(back[i], float(int32_t(got[i]) - zero[c]) * scale[c]);
      }
    }
  }
}

TEST(Quantize, BiasesInInt32) {
  const std::vector<int32_t> q = {0, 1, -1, 1 << 24, -(1 << 30), 7};
  std::vector<float> x(q.size());
  dequantize(q.data(), DType::kInt32, x.data(), int64_t(q.size()), 0.25f, 0);
  for (size_t i = 0; i < q.size(); ++i) EXPECT_EQ(x[i], float(q[i]) * 0.25f);
}

TEST(Quantize, ToChannelsLast) {
  for (Simd level : kLevels) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (auto [channels, stride] :
         {std::pair{3, 4}, {3, 3}, {1, 1}, {1, 4}, {5, 8}, {40, 40}, {17, 20}}) {
      const int64_t n = 2, pixels = 77;
      const auto x = inputs(0.02f, n * channels * pixels, 3);
      std::vector<uint8_t> got(n * pixels * stride, 1);
      quantize_to_channels_last(x.data(), got.data(), DType::kUint8, n, channels, pixels, stride,
                                0.02f, 114);
      for (int64_t i = 0; i < n; ++i)
        for (int64_t p = 0; p < pixels; ++p)
          for (int64_t c = 0; c < stride; ++c)
            ASSERT_EQ(got[(i * pixels + p) * stride + c],
                      c < channels
                          ? reference<uint8_t>(x[(i * channels + c) * pixels + p], 0.02f, 114)
                          : 114)
                << channels << " " << p << " " << c;
    }
  }
}

TEST(Quantize, DynamicParameters) {
  for (Simd level : kLevels) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    // The example of the ONNX operator's documentation.
    const std::vector<float> x = {0, 2, -3, -2.5f, 1.34f, 0.5f};
    const DynamicParams p = dynamic_params(x.data(), int64_t(x.size()));
    EXPECT_FLOAT_EQ(p.scale, 0.0196078438f);
    EXPECT_EQ(p.zero, 153);
    const std::vector<float> positive = {1, 2.1f, 1.3f, 2.5f, 3.34f, 4};
    EXPECT_FLOAT_EQ(dynamic_params(positive.data(), 6).scale, 0.0156862754f);
    EXPECT_EQ(dynamic_params(positive.data(), 6).zero, 0);
    const std::vector<float> zeros(50, 0.0f);
    EXPECT_EQ(dynamic_params(zeros.data(), 50).scale, 1.0f);
    EXPECT_EQ(dynamic_params(zeros.data(), 0).scale, 1.0f);
  }
}

TEST(Quantize, DynamicRows) {
  const int64_t rows = 5, cols = 37;
  std::mt19937 rng(5);
  std::normal_distribution<float> normal;
  std::vector<float> x(rows * cols);
  for (float& v : x) v = normal(rng);
  std::fill_n(x.begin() + cols, cols, 0.0f);
  for (Simd level : kLevels) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    std::vector<uint8_t> q(x.size()), zeros(rows);
    std::vector<int8_t> s(x.size());
    std::vector<float> scales(rows), symmetric(rows);
    dynamic_quantize_rows(x.data(), q.data(), rows, cols, scales.data(), zeros.data());
    dynamic_quantize_rows_symmetric(x.data(), s.data(), rows, cols, symmetric.data());
    for (int64_t r = 0; r < rows; ++r) {
      const DynamicParams p = dynamic_params(x.data() + r * cols, cols);
      ASSERT_EQ(p.scale, scales[r]);
      ASSERT_EQ(p.zero, zeros[r]);
      for (int64_t c = 0; c < cols; ++c) {
        ASSERT_EQ(q[r * cols + c], reference<uint8_t>(x[r * cols + c], p.scale, p.zero));
        ASSERT_EQ(s[r * cols + c], reference<int8_t>(x[r * cols + c], symmetric[r], 0));
        ASSERT_GE(s[r * cols + c], -127);
      }
    }
    EXPECT_EQ(symmetric[1], 1.0f);
  }
}

TEST(Quantize, MinMaxSkipsNan) {
  for (Simd level : kLevels) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (int64_t n : {1, 31, 32, 33, 1000}) {
      std::vector<float> x(n, 1.5f);
      x[n / 2] = -2.0f;
      if (n > 3) x[n / 3] = NAN;
      float lo, hi;
      min_max(x.data(), n, &lo, &hi);
      EXPECT_EQ(lo, -2.0f);
      EXPECT_EQ(hi, n == 1 ? -2.0f : 1.5f);
    }
  }
}

}  // namespace
}  // namespace fewbit::pointwise
