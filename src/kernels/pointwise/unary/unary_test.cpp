// Every function in every width against its definition in double.
#include "kernels/pointwise/unary/unary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/pointwise/unary/unary_reference.h"
#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

struct Case {
  Unary f;
  double relative;  ///< tolerance, relative to the result
};

std::vector<Case> cases() {
  std::vector<Case> out;
  for (int i = 0; i < kUnaryOpCount; ++i) out.push_back({{static_cast<UnaryOp>(i)}, 5e-7});
  auto set = [&](UnaryOp op, float a, float b) {
    out[static_cast<size_t>(op)].f.alpha = a;
    out[static_cast<size_t>(op)].f.beta = b;
  };
  set(UnaryOp::kClip, -0.5f, 6.0f);
  set(UnaryOp::kLeakyRelu, 0.1f, 0);
  set(UnaryOp::kElu, 0.7f, 0);
  set(UnaryOp::kSelu, 1.67326319f, 1.05070102f);
  set(UnaryOp::kCelu, 1.3f, 0);
  set(UnaryOp::kThresholdedRelu, 0.8f, 0);
  set(UnaryOp::kHardSigmoid, 0.2f, 0.5f);
  set(UnaryOp::kSilu, 1.0f, 0);
  // Single-precision arguments of exp lose accuracy in proportion to their size.
  out[size_t(UnaryOp::kSilu)].relative = 1e-6;
  out[size_t(UnaryOp::kGeluErf)].relative = 2e-5;
  out[size_t(UnaryOp::kGeluTanh)].relative = 2e-5;
  out[size_t(UnaryOp::kCelu)].relative = 1e-6;
  out[size_t(UnaryOp::kHardSwish)].relative = 1e-6;
  return out;
}

std::vector<float> inputs(UnaryOp op) {
  std::vector<float> x = {0.0f, -0.0f, 1.0f, -1.0f, INFINITY, -INFINITY, 0.5f, -0.5f, 1.5f, 2.5f};
  for (int i = -4000; i <= 4000; ++i) x.push_back(float(i) * 0.0033f);
  for (float v = 1e-30f; v < 1e30f; v *= 1.7f) {
    x.push_back(v);
    x.push_back(-v);
  }
  for (int i = -1040; i < 890; ++i) x.push_back(float(i) * 0.1f);
  if (op == UnaryOp::kLog)
    for (float v = 1e-45f; v < 1e-37f; v *= 2) x.push_back(v);
  return x;
}

TEST(Unary, EveryFunctionInEveryWidth) {
  for (Simd level : {Simd::kScalar, Simd::kAvx2, Simd::kAvx512}) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (const Case& c : cases()) {
      const auto x = inputs(c.f.op);
      std::vector<float> y(x.size());
      unary(c.f, x.data(), y.data(), static_cast<int64_t>(x.size()));
      double worst = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double want = evaluate(c.f, x[i]);
        // 0 * inf in the definition: the limit is meant.
        if (std::isnan(want) && !std::isnan(x[i]) && std::isinf(x[i])) continue;
        if (std::isnan(want)) {
          ASSERT_TRUE(std::isnan(y[i])) << int(c.f.op) << " at " << x[i];
          continue;
        }
        if (std::isinf(static_cast<float>(want))) {
          ASSERT_EQ(y[i], static_cast<float>(want)) << int(c.f.op) << " at " << x[i];
          continue;
        }
        const double error = std::fabs(y[i] - want) / (std::fabs(want) + 1.2e-38);
        // A bounded function of a large argument may be cut off where it is below the smallest
        // normal float.
        if (std::fabs(y[i] - want) <= 1.2e-36) continue;
        worst = std::max(worst, error);
        ASSERT_LE(error, c.relative) << int(c.f.op) << " at " << x[i] << " got " << y[i] << " want "
                                     << want << " level " << int(level);
      }
      RecordProperty("worst_" + std::to_string(int(c.f.op)), std::to_string(worst));
    }
  }
}

TEST(Unary, NanStaysNan) {
  const std::vector<float> x(20, NAN);
  for (Simd level : {Simd::kScalar, Simd::kAvx2, Simd::kAvx512}) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (const Case& c : cases()) {
      std::vector<float> y(x.size(), 0.0f);
      unary(c.f, x.data(), y.data(), 20);
      for (float v : y) ASSERT_TRUE(std::isnan(v)) << int(c.f.op);
    }
  }
}

TEST(Unary, TailsAndThreads) {
  for (int64_t n : {1, 7, 15, 17, 100000}) {
    std::vector<float> x(n), y(n + 1, 5.0f);
    for (int64_t i = 0; i < n; ++i) x[i] = float(i % 100) - 50;
    unary({UnaryOp::kRelu}, x.data(), y.data(), n);
    for (int64_t i = 0; i < n; ++i) ASSERT_EQ(y[i], std::max(x[i], 0.0f));
    ASSERT_EQ(y[n], 5.0f);
  }
}

}  // namespace
}  // namespace fewbit::pointwise
