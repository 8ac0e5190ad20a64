#include "kernels/pointwise/qarith/qarith.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

using Dims = std::vector<int64_t>;

struct Case {
  QAffine a, b, d;
};
constexpr Case kCases[] = {{{0.02f, 0}, {0.02f, 0}, {0.04f, 0}},
                           {{0.013f, 120}, {0.041f, 3}, {0.0371f, 17}},
                           {{1.0f, 0}, {0.5f, 0}, {0.25f, 100}},
                           {{3.0f, 5}, {2.0f, 77}, {0.001f, 100}}};

int32_t finish(float x, QClamp c) {
  x = x > float(c.lo) ? x : float(c.lo);
  x = x < float(c.hi) ? x : float(c.hi);
  return static_cast<int32_t>(std::nearbyintf(x));
}

int32_t reference_add(int32_t a, int32_t b, const Case& k, QClamp c) {
  const float ra = k.a.scale / k.d.scale, rb = k.b.scale / k.d.scale;
  const float fixed = float(k.d.zero) - (ra * float(k.a.zero) + rb * float(k.b.zero));
  return finish(std::fmaf(float(a), ra, std::fmaf(float(b), rb, fixed)), c);
}

int32_t reference_mul(int32_t a, int32_t b, const Case& k, QClamp c) {
  const float r = k.a.scale * k.b.scale / k.d.scale;
  const float product = float((a - k.a.zero) * (b - k.b.zero)) * r;
  return finish(product + float(k.d.zero), c);
}

template <typename T>
void check_all_pairs(DType type) {
  // Every pair of codes, as [256, 1] with [256] and as [65536] with itself.
  std::vector<T> codes(256), a(65536), b(65536), dst(65536);
  for (int i = 0; i < 256; ++i) codes[i] = static_cast<T>(i + std::numeric_limits<T>::min());
  for (int i = 0; i < 65536; ++i) {
    a[i] = codes[i / 256];
    b[i] = codes[i % 256];
  }
  for (Simd level : {Simd::kScalar, Simd::kAvx2, Simd::kAvx512}) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (const Case& k : kCases)
      for (const QClamp clamp : {full_range(type), QClamp{10, 100}})
        for (bool broadcast : {false, true}) {
          const auto loops = broadcast ? collapse_broadcast(Dims{256, 1}, Dims{256})
                                       : collapse_broadcast(Dims{65536}, Dims{65536});
          const T* pa = broadcast ? codes.data() : a.data();
          const T* pb = broadcast ? codes.data() : b.data();
          qadd(type, *loops, pa, k.a, pb, k.b, dst.data(), k.d, clamp);
          for (int i = 0; i < 65536; ++i)
            ASSERT_EQ(dst[i], reference_add(a[i], b[i], k, clamp)) << int(a[i]) << " " << int(b[i]);
          qmul(type, *loops, pa, k.a, pb, k.b, dst.data(), k.d, clamp);
          for (int i = 0; i < 65536; ++i)
            ASSERT_EQ(dst[i], reference_mul(a[i], b[i], k, clamp)) << int(a[i]) << " " << int(b[i]);
        }
  }
}

TEST(QArith, AllPairsUint8) {
  check_all_pairs<uint8_t>(DType::kUint8);
}
TEST(QArith, AllPairsInt8) {
  check_all_pairs<int8_t>(DType::kInt8);
}

TEST(QArith, ScalarsAndTails) {
  for (Simd level : {Simd::kScalar, Simd::kAvx2, Simd::kAvx512}) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (int64_t n : {1, 7, 16, 33}) {
      std::vector<uint8_t> a(n), one = {77}, dst(n + 1, 3);
      for (int64_t i = 0; i < n; ++i) a[i] = static_cast<uint8_t>(i * 37);
      const Case& k = kCases[1];
      const QClamp clamp = full_range(DType::kUint8);
      qadd(DType::kUint8, *collapse_broadcast(Dims{n}, Dims{}), a.data(), k.a, one.data(), k.b,
           dst.data(), k.d, clamp);
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(dst[i], reference_add(a[i], 77, k, clamp));
      qmul(DType::kUint8, *collapse_broadcast(Dims{}, Dims{n}), one.data(), k.a, a.data(), k.b,
           dst.data(), k.d, clamp);
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(dst[i], reference_mul(77, a[i], k, clamp));
      ASSERT_EQ(dst[n], 3);
    }
  }
}

}  // namespace
}  // namespace fewbit::pointwise
