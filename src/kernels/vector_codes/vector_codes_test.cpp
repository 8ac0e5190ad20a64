#include "kernels/vector_codes/vector_codes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/product_test_support.h"

namespace fewbit {
namespace {

// Within half a unit in the last place for each group (one fma), and for the conversion of its sum,
// the scale of x, the bias and the decoded weights that it is compared with; and the same bits on
// every instruction set.
void check(const PackedMatrix& w, int64_t m, bool with_bias) {
  const int64_t n = w.rows, k = w.cols;
  const std::vector<float> x = normal_floats(m * k, 7);
  const std::vector<float> bias = with_bias ? normal_floats(n, 9) : std::vector<float>();
  const RoundedProduct wanted = rounded_product(w, x, m, bias);
  std::vector<float> first;
  for (const Isa isa : kAllIsas) {
    if (!isa_runs_here(isa)) continue;
    const Result<VectorGemm> gemm = VectorGemm::prepare(w, bias, isa);
    ASSERT_TRUE(gemm.ok()) << gemm.error().message();
    for (const int threads : {1, 3}) {
      std::vector<float> y(static_cast<size_t>(m * n), NAN);
      gemm->run({.m = m, .x = x.data(), .y = y.data()}, threads);
      if (first.empty()) first = y;
      for (size_t i = 0; i < y.size(); ++i) {
        const double tolerance = wanted.magnitude[i] * static_cast<double>(k / 16 + 6) * 0x1p-24;
        ASSERT_NEAR(y[i], wanted.y[i], tolerance) << w.format.name() << " " << name_of(isa) << " ["
                                                  << m << ", " << n << ", " << k << "] at " << i;
        ASSERT_EQ(y[i], first[i]) << w.format.name() << " " << name_of(isa) << " at " << i;
      }
    }
  }
}

// Codes and books at random: cheaper than learning them, and every entry occurs, -128 included.
PackedMatrix random_codes(const char* format, int64_t n, int64_t k) {
  PackedMatrix w = make_packed(*parse_format(format), n, k);
  Random random(static_cast<uint64_t>(n * 1000 + k));
  for (const char* part : {"codes", "books"}) {
    Tensor& t = w.part(part);
    auto* bytes = reinterpret_cast<uint8_t*>(t.raw());
    for (int64_t i = 0; i < t.bytes(); ++i) bytes[i] = static_cast<uint8_t>(random.next());
  }
  Tensor& scales = w.part("scales");
  for (int64_t i = 0; i < scales.elements(); ++i) {
    store_scale(w.format.scale, random.uniform(0.1F, 2.0F), scales.raw(), i);
  }
  return w;
}

constexpr const char* kFormats[] = {
    "vq2_1x6",     "vq2_1x6/g16", "vq2_1x6/g48:f32", "vq2_1x8",         "vq2_1x8/g16",
    "vq4_1x8",     "vq4_1x8/g32", "vq4_2x8",         "vq4_2x8/g64",     "vq8_1x8",
    "vq8_1x8/g16", "vq8_2x8/g96", "vq8_2x8",         "vq8_3x8/g48:f32", "vq8_3x8"};

TEST(VectorGemm, EveryFormatGroupAndShape) {
  for (const char* format : kFormats) {
    for (const auto& [n, k] : std::vector<std::pair<int64_t, int64_t>>{
             {16, 32}, {1, 1}, {5, 17}, {33, 172}, {40, 256}, {18, 771}}) {
      for (const int64_t m : {1, 3, 9}) check(random_codes(format, n, k), m, m > 1);
    }
  }
}

// Several panels at a time, with what is left over, for every number of rows.
TEST(VectorGemm, EveryNumberOfRows) {
  for (int64_t m = 1; m <= 10; ++m) {
    for (const char* format : {"vq2_1x6", "vq4_2x8/g64", "vq8_3x8"}) {
      check(random_codes(format, 150, 260), m, true);
    }
  }
}

TEST(VectorGemm, LearnedWeights) {
  for (const char* format : {"vq2_1x6", "vq4_1x8", "vq8_2x8"}) {
    check(packed_normal(format, 40, 256, 3), 2, true);
  }
}

// One group of 70,000 of the largest products would leave int32.
TEST(VectorGemm, LongRowsDoNotOverflow) {
  constexpr int64_t k = 70'000;
  PackedMatrix w = make_packed(*parse_format("vq8_3x8"), 1, k);
  Tensor& books = w.part("books");
  std::fill_n(books.data<int8_t>(), books.elements(), int8_t{-128});
  store_scale(w.format.scale, 1.0F, w.part("scales").raw(), 0);
  const std::vector<float> x(k, 127.0F);
  for (const Isa isa : kAllIsas) {
    if (!isa_runs_here(isa)) continue;
    float y = 0;
    VectorGemm::prepare(w, {}, isa)->run({.m = 1, .x = x.data(), .y = &y}, 1);
    EXPECT_NEAR(y, -3.0 * 128 * 127 * k, 1e-6 * 3 * 128 * 127 * k) << name_of(isa);
  }
}

TEST(VectorGemm, RowsOfZerosAndOfNaN) {
  const PackedMatrix w = random_codes("vq4_2x8", 20, 64);
  const std::vector<float> bias(20, 0.5F);
  std::vector<float> x(4 * 64, 0.0F);
  x[64 + 3] = std::numeric_limits<float>::quiet_NaN();
  x[128 + 9] = std::numeric_limits<float>::infinity();
  x[192] = 1;
  for (const Isa isa : kAllIsas) {
    if (!isa_runs_here(isa)) continue;
    std::vector<float> y(4 * 20);
    VectorGemm::prepare(w, bias, isa)->run({.m = 4, .x = x.data(), .y = y.data()}, 2);
    for (size_t n = 0; n < 20; ++n) {
      EXPECT_EQ(y[n], 0.5F);
      EXPECT_TRUE(std::isnan(y[20 + n]));
      EXPECT_TRUE(std::isnan(y[40 + n]));
      EXPECT_TRUE(std::isfinite(y[60 + n]));
    }
  }
}

TEST(VectorGemm, StridesAreHeeded) {
  const PackedMatrix w = random_codes("vq8_2x8/g16", 18, 40);
  const std::vector<float> x = normal_floats(3 * 50, 2);
  std::vector<float> dense;
  for (int64_t i = 0; i < 3; ++i)
    dense.insert(dense.end(), x.begin() + i * 50, x.begin() + i * 50 + 40);
  const Result<VectorGemm> gemm = VectorGemm::prepare(w, {});
  std::vector<float> a(3 * 18), b(3 * 25, -1.0F);
  gemm->run({.m = 3, .x = dense.data(), .y = a.data()}, 1);
  gemm->run({.m = 3, .x = x.data(), .x_stride = 50, .y = b.data(), .y_stride = 25}, 2);
  for (size_t i = 0; i < 3; ++i) {
    for (size_t n = 0; n < 25; ++n) EXPECT_EQ(b[i * 25 + n], n < 18 ? a[i * 18 + n] : -1.0F);
  }
}

TEST(VectorGemm, RefusesOtherFormats) {
  for (const char* format : {"int2/g32", "sherry1.25", "codebook2", "nf4"}) {
    const Result<VectorGemm> gemm = VectorGemm::prepare(packed_normal(format, 16, 256, 1), {});
    ASSERT_FALSE(gemm.ok());
    EXPECT_NE(gemm.error().message().find(format), std::string::npos);
  }
}

}  // namespace
}  // namespace fewbit
