#include "kernels/pointwise/rows/rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

constexpr Simd kLevels[] = {Simd::kScalar, Simd::kAvx2, Simd::kAvx512};

std::vector<float> random_floats(int64_t n, float spread) {
  std::mt19937 rng(3);
  std::normal_distribution<float> normal(0.5f, spread);
  std::vector<float> x(n);
  for (float& v : x) v = normal(rng);
  return x;
}

TEST(Rows, SoftmaxAlongAnyAxis) {
  for (Simd level : kLevels) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (int64_t inner : {1, 5, 40, 70})
      for (int64_t cols : {1, 2, 17, 1000}) {
        const int64_t outer = 3;
        const auto x = random_floats(outer * cols * inner, 8);
        std::vector<float> y(x.size()), l(x.size());
        softmax_strided(x.data(), y.data(), outer, cols, inner, false);
        softmax_strided(x.data(), l.data(), outer, cols, inner, true);
        for (int64_t o = 0; o < outer; ++o)
          for (int64_t i = 0; i < inner; ++i) {
            const int64_t base = o * cols * inner + i;
            double top = -INFINITY, sum = 0;
            for (int64_t c = 0; c < cols; ++c) top = std::max<double>(top, x[base + c * inner]);
            for (int64_t c = 0; c < cols; ++c) sum += std::exp(x[base + c * inner] - top);
            for (int64_t c = 0; c < cols; ++c) {
              const double want = std::exp(x[base + c * inner] - top) / sum;
              // x - max is rounded before exp: its error, up to 32 eps, is the result's.
              ASSERT_NEAR(y[base + c * inner], want, 5e-6 * want + 1e-37);
              ASSERT_NEAR(l[base + c * inner], x[base + c * inner] - top - std::log(sum), 1e-5);
            }
          }
      }
  }
}

TEST(Rows, SoftmaxOfInfinities) {
  for (Simd level : kLevels) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    std::vector<float> x(20, -INFINITY), y(20);
    x[3] = 1.0f;
    softmax(x.data(), y.data(), 1, 20);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(y[i], i == 3 ? 1.0f : 0.0f);
    x[3] = -INFINITY;
    softmax(x.data(), y.data(), 1, 20);
    EXPECT_TRUE(std::isnan(y[0]));
  }
}

TEST(Rows, Normalizations) {
  for (Simd level : kLevels) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (int64_t cols : {1, 5, 16, 100, 1024}) {
      const int64_t rows = 4;
      const auto x = random_floats(rows * cols, 2);
      const auto scale = random_floats(cols, 1), bias = random_floats(cols, 3);
      std::vector<float> y(x.size()), z(x.size()), rms(x.size()), means(rows), inverses(rows);
      layer_norm(x.data(), y.data(), rows, cols, scale.data(), bias.data(), 1e-5f, means.data(),
                 inverses.data());
      layer_norm(x.data(), z.data(), rows, cols, scale.data(), nullptr, 1e-5f);
      rms_norm(x.data(), rms.data(), rows, cols, scale.data(), 1e-5f);
      for (int64_t r = 0; r < rows; ++r) {
        double mean = 0, variance = 0, square = 0;
        for (int64_t c = 0; c < cols; ++c) mean += x[r * cols + c] / double(cols);
        for (int64_t c = 0; c < cols; ++c) {
          variance += std::pow(x[r * cols + c] - mean, 2) / double(cols);
          square += std::pow(double{x[r * cols + c]}, 2) / double(cols);
        }
        const double inverse = 1 / std::sqrt(variance + 1e-5);
        ASSERT_NEAR(means[r], mean, 1e-5);
        ASSERT_NEAR(inverses[r], inverse, 1e-5 * inverse);
        for (int64_t c = 0; c < cols; ++c) {
          const double n = (x[r * cols + c] - mean) * inverse * scale[c];
          // With one column x - mean is the rounding error itself, amplified by 1 / sqrt(epsilon).
          ASSERT_NEAR(y[r * cols + c], n + bias[c], 2e-5 + 1e-4 / double(cols));
          ASSERT_NEAR(z[r * cols + c], n, 2e-5 + 1e-4 / double(cols));
          ASSERT_NEAR(rms[r * cols + c], x[r * cols + c] / std::sqrt(square + 1e-5) * scale[c],
                      2e-5);
        }
      }
    }
  }
}

TEST(Rows, QuantizedSoftmax) {
  std::mt19937 rng(4);
  std::vector<int8_t> q(3 * 50), y(q.size());
  for (int8_t& v : q) v = static_cast<int8_t>(rng());
  const QAffine from = {0.07f, 4}, to = {1.0f / 256, -128};
  softmax_quantized(DType::kInt8, q.data(), from, y.data(), to, 3, 50);
  for (int64_t r = 0; r < 3; ++r) {
    double sum = 0;
    for (int64_t c = 0; c < 50; ++c) sum += std::exp(q[r * 50 + c] * double(from.scale));
    for (int64_t c = 0; c < 50; ++c) {
      const double want = std::exp(q[r * 50 + c] * double(from.scale)) / sum / to.scale + to.zero;
      ASSERT_LE(std::fabs(y[r * 50 + c] - std::min(want, 127.0)), 0.501);
    }
  }
}

}  // namespace
}  // namespace fewbit::pointwise
