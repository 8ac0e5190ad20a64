#include "kernels/pointwise/table/lut.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/pointwise/quantize/quantize.h"
#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

TEST(Lut, MapsInEveryWidth) {
  Lut lut;
  for (int i = 0; i < 256; ++i) lut[i] = static_cast<uint8_t>(i * 97 + 5);
  for (Simd level : {Simd::kScalar, Simd::kAvx2, Simd::kAvx512}) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (int64_t n : {0, 1, 31, 64, 65, 1000, 300000}) {
      std::vector<uint8_t> src(n), dst(n + 1, 9);
      for (int64_t i = 0; i < n; ++i) src[i] = static_cast<uint8_t>(i * 7 + i / 256);
      map_bytes(src.data(), dst.data(), n, lut);
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(dst[i], lut[src[i]]);
      ASSERT_EQ(dst[n], 9);
      map_bytes(src.data(), src.data(), n, lut);
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(dst[i], src[i]);
    }
  }
}

TEST(Lut, RequantizeIsDequantizeThenQuantize) {
  const QAffine from = {0.037f, 12}, to = {0.021f, -3};
  const Lut lut = requantize_lut(DType::kUint8, from, DType::kInt8, to);
  std::vector<uint8_t> codes(256);
  for (int i = 0; i < 256; ++i) codes[i] = static_cast<uint8_t>(i);
  std::vector<float> x(256);
  std::vector<int8_t> q(256);
  dequantize(codes.data(), DType::kUint8, x.data(), 256, from.scale, from.zero);
  quantize(x.data(), q.data(), DType::kInt8, 256, to.scale, to.zero);
  for (int i = 0; i < 256; ++i) EXPECT_EQ(static_cast<int8_t>(lut[i]), q[i]);
}

TEST(Lut, UnaryAndComposition) {
  const QAffine from = {0.05f, 0}, to = {1.0f / 256, -128};
  const Lut sigmoid = unary_lut({UnaryOp::kSigmoid}, DType::kInt8, from, DType::kInt8, to);
  for (int i = 0; i < 256; ++i) {
    const double y = 1 / (1 + std::exp(-double(static_cast<int8_t>(i)) * 0.05f));
    EXPECT_LE(std::abs(static_cast<int8_t>(sigmoid[i]) - std::min(y * 256 - 128, 127.0)), 0.501)
        << i;
  }
  const Lut back = requantize_lut(DType::kInt8, to, DType::kUint8, {1.0f / 256, 0});
  const Lut both = compose(sigmoid, back);
  for (int i = 0; i < 256; ++i) EXPECT_EQ(both[i], back[sigmoid[i]]);
}

}  // namespace
}  // namespace fewbit::pointwise
