#include "kernels/few_bit/few_bit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "formats/affine.h"

namespace fewbit {
namespace {

std::vector<float> normal(int64_t count, uint64_t seed) {
  std::vector<float> v(static_cast<size_t>(count));
  Random(seed).fill_normal(v, 0, 1);
  return v;
}

PackedMatrix packed(const char* format, int64_t n, int64_t k, uint64_t seed) {
  const std::vector<float> w = normal(n * k, seed);
  return *encode(*parse_format(format), {w, n, k, {}}, {.search = false});
}

// The contract in double: codes and int8 activations exactly, everything else without rounding; and
// the sum of magnitudes that a rounding error is measured by.
struct Wanted {
  std::vector<double> y, magnitude;
};

Wanted reference(const PackedMatrix& w, const std::vector<float>& x, int64_t m,
                 const std::vector<float>& bias) {
  const std::vector<float> weights = decode(w);
  Wanted out;
  for (int64_t i = 0; i < m; ++i) {
    const float* row = x.data() + i * w.cols;
    float largest = 0;
    for (int64_t k = 0; k < w.cols; ++k) largest = std::max(largest, std::fabs(row[k]));
    const float scale = largest / 127.0F;
    const float inverse = scale > 0 ? 1.0F / scale : 0;
    for (int64_t n = 0; n < w.rows; ++n) {
      double y = 0, magnitude = 0;
      for (int64_t k = 0; k < w.cols; ++k) {
        const double q = std::nearbyintf(row[k] * inverse);
        const double product =
            static_cast<double>(scale) * q * weights[static_cast<size_t>(n * w.cols + k)];
        y += product;
        magnitude += std::abs(product);
      }
      out.y.push_back(y + (bias.empty() ? 0 : bias[static_cast<size_t>(n)]));
      out.magnitude.push_back(magnitude +
                              (bias.empty() ? 0 : std::abs(bias[static_cast<size_t>(n)])));
    }
  }
  return out;
}

void check(const char* format, int64_t m, int64_t n, int64_t k, bool with_bias) {
  const PackedMatrix w = packed(format, n, k, static_cast<uint64_t>(n + k));
  const std::vector<float> x = normal(m * k, 7);
  const std::vector<float> bias = with_bias ? normal(n, 9) : std::vector<float>();
  const Wanted wanted = reference(w, x, m, bias);
  for (const Isa isa : kAllIsas) {
    if (!isa_runs_here(isa)) continue;
    const Result<FewBitGemm> gemm = FewBitGemm::prepare(w, bias, isa);
    ASSERT_TRUE(gemm.ok()) << gemm.error().message();
    for (const int threads : {1, 3}) {
      std::vector<float> y(static_cast<size_t>(m * n), NAN);
      gemm->run({.m = m, .x = x.data(), .y = y.data()}, threads);
      for (size_t i = 0; i < y.size(); ++i) {
        // Sums of codes are as large as those of weights by at most 2^bits: offsets cancel them.
        const double tolerance =
            wanted.magnitude[i] * static_cast<double>(k / 16 + 8) * 0x1p-23 * 64 + 1e-30;
        ASSERT_NEAR(y[i], wanted.y[i], tolerance)
            << format << " " << name_of(isa) << " [" << m << ", " << n << ", " << k << "] at " << i;
      }
    }
  }
}

TEST(FewBitGemm, EveryWidthGroupAndShape) {
  for (const char* format : {"int8/channel", "int8/g32",    "int7/g64",
                             "int6/g16",     "int5/g32",    "int4/g32",
                             "int4/g16",     "int4/g48",    "int4/channel",
                             "int4/tensor",  "int4/g32:u6", "int4/g128:f32",
                             "int3/g32",     "int3/g16",    "int2/g64",
                             "uint8/g32",    "uint4/g32",   "uint4/channel",
                             "uint2/g16",    "ternary",     "ternary1.6/channel",
                             "binary",       "q4_0",        "q4_1",
                             "q5_1",         "q8_0",        "q2_K",
                             "q3_K",         "q4_K",        "q5_K",
                             "q6_K",         "tq1_0",       "tq2_0"}) {
    for (const auto& [n, k] : std::vector<std::pair<int64_t, int64_t>>{
             {16, 32}, {1, 1}, {5, 17}, {33, 172}, {40, 256}}) {
      check(format, 1, n, k, false);
      check(format, 3, n, k, true);
      check(format, 9, n, k, true);
    }
  }
}

TEST(FewBitGemm, ManyRows) {
  for (const char* format : {"int4/g32", "uint3/g64", "int2/channel"})
    check(format, 70, 200, 320, true);
}

// One group of 70,000 equal products would leave int32.
TEST(FewBitGemm, LongRowsDoNotOverflow) {
  constexpr int64_t k = 70'000;
  const std::vector<float> w(k, 1.0F);
  const std::vector<float> x(k, 1.0F);
  const PackedMatrix matrix = *encode(*parse_format("uint8/channel"), {w, 1, k, {}});
  for (const Isa isa : kAllIsas) {
    if (!isa_runs_here(isa)) continue;
    const Result<FewBitGemm> gemm = FewBitGemm::prepare(matrix, {}, isa);
    float y = 0;
    gemm->run({.m = 1, .x = x.data(), .y = &y}, 1);
    EXPECT_NEAR(y, 70'000.0F, 0.5F) << name_of(isa);
  }
}

TEST(FewBitGemm, RowsOfZerosAndOfNaN) {
  const PackedMatrix w = packed("int4/g32", 20, 64, 1);
  const std::vector<float> bias(20, 0.5F);
  std::vector<float> x(4 * 64, 0.0F);
  x[64 + 3] = std::numeric_limits<float>::quiet_NaN();
  x[128 + 9] = std::numeric_limits<float>::infinity();
  x[192] = 1;
  const Result<FewBitGemm> gemm = FewBitGemm::prepare(w, bias);
  ASSERT_TRUE(gemm.ok());
  std::vector<float> y(4 * 20);
  gemm->run({.m = 4, .x = x.data(), .y = y.data()}, 2);
  for (size_t n = 0; n < 20; ++n) {
    EXPECT_EQ(y[n], 0.5F);
    EXPECT_TRUE(std::isnan(y[20 + n]));
    EXPECT_TRUE(std::isnan(y[40 + n]));
    EXPECT_TRUE(std::isfinite(y[60 + n]));
  }
}

TEST(FewBitGemm, StridesAreHeeded) {
  const PackedMatrix w = packed("int4/g32", 18, 40, 1);
  const std::vector<float> x = normal(3 * 50, 2);
  std::vector<float> dense;
  for (int64_t i = 0; i < 3; ++i)
    dense.insert(dense.end(), x.begin() + i * 50, x.begin() + i * 50 + 40);
  const Result<FewBitGemm> gemm = FewBitGemm::prepare(w, {});
  std::vector<float> a(3 * 18), b(3 * 25, -1.0F);
  gemm->run({.m = 3, .x = dense.data(), .y = a.data()}, 1);
  gemm->run({.m = 3, .x = x.data(), .x_stride = 50, .y = b.data(), .y_stride = 25}, 2);
  for (size_t i = 0; i < 3; ++i) {
    for (size_t n = 0; n < 25; ++n) EXPECT_EQ(b[i * 25 + n], n < 18 ? a[i * 18 + n] : -1.0F);
  }
}

TEST(FewBitGemm, TakesOnlyAffineFormats) {
  for (const char* format :
       {"nf4", "fp8e4m3", "mxfp4", "log4", "iq4_nl", "codebook2", "sherry1.25"}) {
    const PackedMatrix w = packed(format, 16, 256, 1);
    const Result<FewBitGemm> gemm = FewBitGemm::prepare(w, {});
    ASSERT_FALSE(gemm.ok());
    EXPECT_NE(gemm.error().message().find(format), std::string::npos);
  }
}

}  // namespace
}  // namespace fewbit
