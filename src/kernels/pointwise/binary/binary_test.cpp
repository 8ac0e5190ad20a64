#include "kernels/pointwise/binary/binary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

using Dims = std::vector<int64_t>;

float reference(BinaryOp op, float a, float b) {
  switch (op) {
    case BinaryOp::kAdd:
      return a + b;
    case BinaryOp::kSub:
      return a - b;
    case BinaryOp::kMul:
      return a * b;
    case BinaryOp::kDiv:
      return a / b;
    case BinaryOp::kMin:
      return std::isnan(a) || std::isnan(b) ? NAN : std::min(a, b);
    case BinaryOp::kMax:
      return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b);
    case BinaryOp::kPow:
      return std::pow(a, b);
  }
  return 0;
}

bool same(float x, float y) {
  return x == y || (std::isnan(x) && std::isnan(y));
}

TEST(Binary, EveryOperationAndRepetition) {
  std::vector<float> a(37 * 41), b(37 * 41);
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = float(i % 13) - 6.5f;
    b[i] = float(i % 7) - 3.0f;
  }
  a[20] = NAN;
  b[31] = NAN;
  for (Simd level : {Simd::kScalar, Simd::kAvx2, Simd::kAvx512}) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (int op = 0; op < kBinaryOpCount; ++op) {
      const BinaryOp o = static_cast<BinaryOp>(op);
      std::vector<float> dst(a.size());
      binary(o, *collapse_broadcast(Dims{37, 41}, Dims{37, 41}), a.data(), b.data(), dst.data());
      for (size_t i = 0; i < dst.size(); ++i)
        ASSERT_TRUE(same(dst[i], reference(o, a[i], b[i]))) << op << " " << i;
      binary(o, *collapse_broadcast(Dims{37, 1}, Dims{41}), a.data(), b.data(), dst.data());
      for (size_t i = 0; i < dst.size(); ++i)
        ASSERT_TRUE(same(dst[i], reference(o, a[i / 41], b[i % 41]))) << op << " " << i;
      for (float exponent : {2.0f, 3.0f, 0.5f, -1.0f, 1.0f, 2.5f}) {
        binary(o, *collapse_broadcast(Dims{37, 41}, Dims{}), a.data(), &exponent, dst.data());
        for (size_t i = 0; i < dst.size(); ++i) {
          const float want = reference(o, a[i], exponent);
          if (o == BinaryOp::kPow)
            ASSERT_TRUE(same(dst[i], want) || std::fabs(dst[i] - want) <= 2e-7f * std::fabs(want));
          else
            ASSERT_TRUE(same(dst[i], want)) << op << " " << i;
        }
      }
    }
    std::vector<float> dst(a.size());
    add_clip(*collapse_broadcast(Dims{37, 41}, Dims{41}), a.data(), b.data(), dst.data(), 0, 6);
    for (size_t i = 0; i < dst.size(); ++i) {
      const float sum = a[i] + b[i % 41];
      ASSERT_TRUE(same(dst[i], std::isnan(sum) ? NAN : std::clamp(sum, 0.0f, 6.0f)));
    }
  }
}

TEST(Binary, PowersOfSpecialValues) {
  const float a[] = {-0.0f, -INFINITY, INFINITY, -1.0f};
  float dst[4];
  const float half = 0.5f;
  binary(BinaryOp::kPow, *collapse_broadcast(Dims{4}, Dims{}), a, &half, dst);
  EXPECT_FALSE(std::signbit(dst[0]));
  EXPECT_EQ(dst[1], INFINITY);
  EXPECT_EQ(dst[2], INFINITY);
  EXPECT_TRUE(std::isnan(dst[3]));
}

TEST(Binary, ScaleAndShift) {
  const int64_t n = 2, channels = 19, pixels = 23;
  std::vector<float> x(n * channels * pixels), y(x.size()), scale(channels), shift(channels);
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(i % 31) * 0.3f - 4;
  for (int64_t c = 0; c < channels; ++c) {
    scale[c] = 0.1f * float(c) - 1;
    shift[c] = float(c);
  }
  for (Simd level : {Simd::kScalar, Simd::kAvx2, Simd::kAvx512}) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    scale_shift_planes(x.data(), y.data(), n, channels, pixels, scale.data(), shift.data());
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = i / pixels % channels;
      ASSERT_EQ(y[i], std::fmaf(x[i], scale[c], shift[c]));
    }
    scale_shift_channels_last(x.data(), y.data(), n * pixels, channels, scale.data(), shift.data());
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(y[i], std::fmaf(x[i], scale[i % channels], shift[i % channels]));
  }
}

}  // namespace
}  // namespace fewbit::pointwise
