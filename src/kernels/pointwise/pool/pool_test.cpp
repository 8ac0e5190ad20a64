#include "kernels/pointwise/pool/pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

/// visit(channel's output offset, values under the window, positions inside the padded tensor).
template <typename T>
void each_window(const PoolShape& s, const std::vector<T>& src,
                 const std::function<void(int64_t, const std::vector<T>&, int64_t)>& visit) {
  int64_t at = 0;
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t z = 0; z < s.out[0]; ++z)
      for (int64_t y = 0; y < s.out[1]; ++y)
        for (int64_t x = 0; x < s.out[2]; ++x)
          for (int64_t c = 0; c < s.channels; ++c, ++at) {
            std::vector<T> values;
            int64_t padded = 0;
            for (int64_t kz = 0; kz < s.kernel[0]; ++kz)
              for (int64_t ky = 0; ky < s.kernel[1]; ++ky)
                for (int64_t kx = 0; kx < s.kernel[2]; ++kx) {
                  const int64_t p[3] = {z * s.stride[0] - s.pad_begin[0] + kz * s.dilation[0],
                                        y * s.stride[1] - s.pad_begin[1] + ky * s.dilation[1],
                                        x * s.stride[2] - s.pad_begin[2] + kx * s.dilation[2]};
                  bool inside = true, near = true;
                  for (int d = 0; d < 3; ++d) {
                    inside = inside && p[d] >= 0 && p[d] < s.in[d];
                    near = near && p[d] < s.in[d] + s.pad_end[d];
                  }
                  padded += near;
                  if (inside)
                    values.push_back(
                        src[(((n * s.in[0] + p[0]) * s.in[1] + p[1]) * s.in[2] + p[2]) *
                                s.channels +
                            c]);
                }
            visit(at, values, padded);
          }
}

std::vector<PoolShape> shapes() {
  return {
      {.n = 2,
       .channels = 19,
       .in = {1, 9, 8},
       .out = {1, 4, 8},
       .kernel = {1, 3, 2},
       .stride = {1, 2, 1},
       .pad_begin = {0, 0, 1}},
      {.n = 1,
       .channels = 64,
       .in = {1, 7, 7},
       .out = {1, 4, 4},
       .kernel = {1, 3, 3},
       .stride = {1, 2, 2},
       .pad_begin = {0, 1, 1},
       .pad_end = {0, 1, 1}},
      // ceil_mode: the last window hangs over the padded end.
      {.n = 1,
       .channels = 100,
       .in = {1, 1, 10},
       .out = {1, 1, 5},
       .kernel = {1, 1, 3},
       .stride = {1, 1, 2},
       .dilation = {1, 1, 1}},
      {.n = 1,
       .channels = 5,
       .in = {4, 5, 6},
       .out = {2, 3, 4},
       .kernel = {2, 2, 2},
       .stride = {2, 1, 1},
       .dilation = {1, 2, 2}},
      // A window wholly in the padding.
      {.n = 1,
       .channels = 3,
       .in = {1, 1, 4},
       .out = {1, 1, 4},
       .kernel = {1, 1, 2},
       .stride = {1, 1, 2},
       .pad_begin = {0, 0, 2}},
  };
}

int64_t in_elems(const PoolShape& s) {
  return s.n * s.in[0] * s.in[1] * s.in[2] * s.channels;
}
int64_t out_elems(const PoolShape& s) {
  return s.n * s.out[0] * s.out[1] * s.out[2] * s.channels;
}

template <typename T>
T quantized(int64_t sum, int64_t count, int64_t divisor, QAffine from, QAffine to) {
  const float scale = from.scale / (to.scale * float(divisor));
  const float lo = float(int32_t(std::numeric_limits<T>::min()) - to.zero);
  const float hi = float(int32_t(std::numeric_limits<T>::max()) - to.zero);
  const float x = float(int32_t(sum - count * from.zero)) * scale;
  return static_cast<T>(int32_t(std::nearbyintf(std::min(std::max(x, lo), hi))) + to.zero);
}

template <typename T>
void check_bytes(DType type) {
  std::mt19937 rng(1);
  const QAffine from = {0.04f, int32_t(std::numeric_limits<T>::min()) + 100};
  const QAffine to = {0.03f, int32_t(std::numeric_limits<T>::min()) + 117};
  for (const PoolShape& s : shapes()) {
    std::vector<T> src(in_elems(s)), dst(out_elems(s) + 1, T(1));
    for (T& v : src) v = static_cast<T>(rng());
    max_pool(type, s, src.data(), dst.data());
    each_window<T>(s, src, [&](int64_t at, const std::vector<T>& v, int64_t) {
      T best = std::numeric_limits<T>::min();
      for (T x : v) best = std::max(best, x);
      ASSERT_EQ(dst[at], best);
    });
    for (PoolCount kind : {PoolCount::kExclude, PoolCount::kInclude}) {
      average_pool_quantized(type, s, kind, src.data(), from, dst.data(), to);
      each_window<T>(s, src, [&](int64_t at, const std::vector<T>& v, int64_t padded) {
        const int64_t count = int64_t(v.size());
        int64_t sum = 0;
        for (T x : v) sum += x;
        const T want =
            count == 0
                ? static_cast<T>(to.zero)
                : quantized<T>(sum, count, kind == PoolCount::kInclude ? padded : count, from, to);
        ASSERT_EQ(dst[at], want);
      });
    }
    ASSERT_EQ(dst.back(), T(1));
    const int64_t pixels = s.in[0] * s.in[1] * s.in[2];
    std::vector<T> mean(s.n * s.channels);
    global_average_quantized(type, s.n, pixels, s.channels, src.data(), from, mean.data(), to);
    for (int64_t n = 0; n < s.n; ++n)
      for (int64_t c = 0; c < s.channels; ++c) {
        int64_t sum = 0;
        for (int64_t p = 0; p < pixels; ++p) sum += src[(n * pixels + p) * s.channels + c];
        ASSERT_EQ(mean[n * s.channels + c], quantized<T>(sum, pixels, pixels, from, to))
            << int(simd()) << " " << n << " " << c << " " << pixels;
      }
  }
}

void check_floats() {
  std::mt19937 rng(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (const PoolShape& s : shapes()) {
    std::vector<float> src(in_elems(s)), dst(out_elems(s));
    for (float& v : src) v = uniform(rng);
    max_pool(DType::kFloat32, s, src.data(), dst.data());
    each_window<float>(s, src, [&](int64_t at, const std::vector<float>& v, int64_t) {
      float best = -INFINITY;
      for (float x : v) best = std::max(best, x);
      ASSERT_EQ(dst[at], best);
    });
    for (PoolCount kind : {PoolCount::kExclude, PoolCount::kInclude}) {
      average_pool(s, kind, src.data(), dst.data());
      each_window<float>(s, src, [&](int64_t at, const std::vector<float>& v, int64_t padded) {
        double sum = 0;
        for (float x : v) sum += x;
        const double divisor = kind == PoolCount::kInclude ? double(padded) : double(v.size());
        ASSERT_NEAR(dst[at], v.empty() ? 0 : sum / divisor, 1e-6);
      });
    }
    const int64_t pixels = s.in[0] * s.in[1] * s.in[2];
    std::vector<float> mean(s.n * s.channels);
    global_average(s.n, pixels, s.channels, src.data(), mean.data());
    for (int64_t n = 0; n < s.n; ++n)
      for (int64_t c = 0; c < s.channels; ++c) {
        double sum = 0;
        for (int64_t p = 0; p < pixels; ++p) sum += src[(n * pixels + p) * s.channels + c];
        ASSERT_NEAR(mean[n * s.channels + c], sum / double(pixels), 1e-6);
      }
  }
}

TEST(Pool, EveryWidth) {
  for (Simd level : {Simd::kScalar, Simd::kAvx2, Simd::kAvx512}) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    check_floats();
    check_bytes<uint8_t>(DType::kUint8);
    check_bytes<int8_t>(DType::kInt8);
  }
}

TEST(Pool, MaxPassesOverNan) {
  const PoolShape s = {.channels = 1, .in = {1, 1, 3}, .kernel = {1, 1, 3}};
  const float src[3] = {1.0f, NAN, 2.0f};
  float dst = 0;
  max_pool(DType::kFloat32, s, src, &dst);
  EXPECT_EQ(dst, 2.0f);
}

}  // namespace
}  // namespace fewbit::pointwise
