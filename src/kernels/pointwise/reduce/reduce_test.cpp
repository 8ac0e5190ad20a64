#include "kernels/pointwise/reduce/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

TEST(Reduce, EveryOperationAlongAnyAxis) {
  std::mt19937 rng(6);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (Simd level : {Simd::kScalar, Simd::kAvx2, Simd::kAvx512}) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (int64_t inner : {1, 3, 70})
      for (int64_t count : {1, 7, 64, 130, 9000}) {
        const int64_t outer = 2;
        std::vector<float> x(outer * count * inner), y(outer * inner);
        for (float& v : x) v = uniform(rng);
        for (int op = 0; op < kReduceOpCount; ++op) {
          reduce(static_cast<ReduceOp>(op), x.data(), y.data(), outer, count, inner);
          for (int64_t o = 0; o < outer; ++o)
            for (int64_t i = 0; i < inner; ++i) {
              double sum = 0, squares = 0, absolute = 0, hi = -INFINITY, lo = INFINITY;
              for (int64_t c = 0; c < count; ++c) {
                const double v = x[(o * count + c) * inner + i];
                sum += v;
                squares += v * v;
                absolute += std::fabs(v);
                hi = std::max(hi, v);
                lo = std::min(lo, v);
              }
              const double want[] = {sum, sum / double(count), hi, lo, squares, absolute};
              // Chains of 64, then one of count / 64.
              const double tolerance = 6e-8 * (64 + double(count) / 64) * absolute;
              ASSERT_NEAR(y[o * inner + i], want[op], tolerance) << op << " " << count;
            }
        }
      }
  }
}

TEST(Reduce, EmptyAndNan) {
  float y = 5;
  reduce(ReduceOp::kSum, nullptr, &y, 1, 0, 1);
  EXPECT_EQ(y, 0.0f);
  reduce(ReduceOp::kMax, nullptr, &y, 1, 0, 1);
  EXPECT_EQ(y, -INFINITY);
  const float x[] = {1.0f, NAN, 3.0f};
  reduce(ReduceOp::kMax, x, &y, 1, 3, 1);
  EXPECT_EQ(y, 3.0f);
}

}  // namespace
}  // namespace fewbit::pointwise
