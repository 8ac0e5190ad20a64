#include "kernels/pointwise/bound/bound.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/tensor.h"
#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

template <typename T>
void expect_bounded(int64_t pixels, int64_t channels) {
  const auto n = static_cast<size_t>(pixels * channels);
  std::vector<T> src(n), dst(n + 1, 9), bound(static_cast<size_t>(channels));
  for (size_t i = 0; i < n; ++i) src[i] = static_cast<T>(i * 37 + i / 256);
  for (size_t c = 0; c < bound.size(); ++c) bound[c] = static_cast<T>(c * 91 + 17);
  bound_channels(DTypeOf<T>::value, src.data(), bound.data(), dst.data(), pixels, channels);
  for (size_t i = 0; i < n; ++i) {
    ASSERT_EQ(dst[i], std::min(src[i], bound[i % bound.size()])) << pixels << "x" << channels;
  }
  ASSERT_EQ(dst[n], 9);
  bound_channels(DTypeOf<T>::value, src.data(), bound.data(), src.data(), pixels, channels);
  dst.pop_back();
  ASSERT_EQ(src, dst);
}

TEST(Bound, EveryWidthTypeAndTail) {
  for (Simd level : {Simd::kScalar, Simd::kAvx2, Simd::kAvx512}) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (int64_t pixels : {0, 1, 7, 400, 40000}) {
      for (int64_t channels : {1, 16, 33, 96, 1500}) {
        if (pixels * channels > 1'000'000) continue;
        expect_bounded<uint8_t>(pixels, channels);
        expect_bounded<int8_t>(pixels, channels);
      }
    }
  }
}

}  // namespace
}  // namespace fewbit::pointwise
