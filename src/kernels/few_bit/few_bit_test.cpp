#include "kernels/few_bit/few_bit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "formats/code_form.h"

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

// What activations are taken for: int8 values times a scale, or themselves.
std::vector<double> taken(const float* row, int64_t k, FewBitActivations activations) {
  std::vector<double> out(row, row + k);
  if (activations == FewBitActivations::kFloat32) return out;
  float largest = 0;
  for (int64_t i = 0; i < k; ++i) largest = std::max(largest, std::fabs(row[i]));
  const float scale = largest / 127.0F;
  const float inverse = scale > 0 ? 1.0F / scale : 0;
  for (int64_t i = 0; i < k; ++i) {
    out[static_cast<size_t>(i)] = static_cast<double>(scale) * std::nearbyintf(row[i] * inverse);
  }
  return out;
}

// By how much the contract lets each weight [n, k] differ: levels rounded to int8, and what many
// rows of activations round once more.
std::vector<double> allowed_rounding(const PackedMatrix& w, FewBitActivations activations,
                                     bool blocks) {
  const CodeForm form = *code_form(w.format, w.cols);
  std::vector<float> levels = form.levels;
  for (int code = 0; form.levels.empty() && code < 1 << form.bits; ++code) {
    levels.push_back(static_cast<float>(code));
  }
  float largest = 0;
  bool integers = true;  // under powers of two up to 16
  for (const float level : levels) {
    largest = std::max(largest, std::fabs(level));
    integers = integers && level * 16 == std::round(level * 16) && largest * 16 <= 1024;
  }
  const auto groups = static_cast<size_t>((w.cols + form.group_elems - 1) / form.group_elems);
  const bool block_rounds = blocks && (groups > 1 || !form.zero || !integers);
  std::vector<uint8_t> codes(static_cast<size_t>(w.cols));
  std::vector<float> scales(groups), offsets(groups);
  std::vector<double> out;
  constexpr int64_t kBlock = 1024;
  for (int64_t n = 0; n < w.rows; ++n) {
    code_row(w, n, codes.data(), scales.data(), offsets.data());
    for (int64_t k = 0; k < w.cols; ++k) {
      const auto g = static_cast<size_t>(k / form.group_elems);
      double allowed = 0;
      // Factors from three quarters of the largest on are tried.
      if (activations == FewBitActivations::kInt8 && !integers) {
        allowed += std::fabs(scales[g]) * largest / (127 * 0.75 * 2);
      }
      if (block_rounds) {
        double most = 0;
        const int64_t begin = k / kBlock * kBlock;
        for (int64_t i = begin; i < std::min(begin + kBlock, w.cols); i += 16) {
          const auto h = static_cast<size_t>(i / form.group_elems);
          for (const float level : levels) {
            most = std::max<double>(most, std::fabs(scales[h] * level + offsets[h]));
          }
        }
        allowed += most * (1.0 / 254 + 0x1p-10);
      }
      out.push_back(allowed);
    }
  }
  return out;
}

// The contract in double, and by how much each output may differ from it.
struct Wanted {
  std::vector<double> y, tolerance;
};

Wanted reference(const PackedMatrix& w, const std::vector<float>& x, int64_t m,
                 const std::vector<float>& bias, FewBitActivations activations) {
  const std::vector<float> weights = decode(w);
  const bool blocks = activations == FewBitActivations::kInt8 && m >= 16;
  const std::vector<double> allowed = allowed_rounding(w, activations, blocks);
  Wanted out;
  for (int64_t i = 0; i < m; ++i) {
    const std::vector<double> row = taken(x.data() + i * w.cols, w.cols, activations);
    for (int64_t n = 0; n < w.rows; ++n) {
      double y = 0, magnitude = 0, rounding = 0;
      for (int64_t k = 0; k < w.cols; ++k) {
        const auto at = static_cast<size_t>(n * w.cols + k);
        const double product = row[static_cast<size_t>(k)] * weights[at];
        y += product;
        magnitude += std::abs(product);
        rounding += std::abs(row[static_cast<size_t>(k)]) * allowed[at];
      }
      const double b = bias.empty() ? 0 : bias[static_cast<size_t>(n)];
      out.y.push_back(y + b);
      // Sums of codes are as large as those of weights by at most 2^bits: offsets cancel them. In
      // float32 each product adds a rounding of its own.
      const double steps = static_cast<double>(
          activations == FewBitActivations::kFloat32 ? w.cols + 8 : w.cols / 16 + 8);
      out.tolerance.push_back((magnitude + std::abs(b)) * steps * 0x1p-23 * 64 + rounding + 1e-30);
    }
  }
  return out;
}

// Every instruction set of this machine, and tiles without the instructions.
std::vector<FewBitOptions> all_options(FewBitActivations activations) {
  std::vector<FewBitOptions> all;
  for (const Isa isa : kAllIsas) {
    if (isa_runs_here(isa)) all.push_back({activations, isa, false});
  }
  all.push_back({activations, Isa::kAmx, true});
  return all;
}

void check(const char* format, int64_t m, int64_t n, int64_t k, bool with_bias,
           FewBitActivations activations = FewBitActivations::kInt8) {
  const PackedMatrix w = packed(format, n, k, static_cast<uint64_t>(n + k));
  const std::vector<float> x = normal(m * k, 7);
  const std::vector<float> bias = with_bias ? normal(n, 9) : std::vector<float>();
  const Wanted wanted = reference(w, x, m, bias, activations);
  for (const FewBitOptions& options : all_options(activations)) {
    const Result<FewBitGemm> gemm = FewBitGemm::prepare(w, bias, options);
    ASSERT_TRUE(gemm.ok()) << gemm.error().message();
    for (const int threads : {1, 3}) {
      std::vector<float> y(static_cast<size_t>(m * n), NAN);
      gemm->run({.m = m, .x = x.data(), .y = y.data()}, threads);
      for (size_t i = 0; i < y.size(); ++i) {
        ASSERT_NEAR(y[i], wanted.y[i], wanted.tolerance[i])
            << format << " " << name_of(*options.isa) << (options.emulated_tiles ? " emulated" : "")
            << " [" << m << ", " << n << ", " << k << "] at " << i;
      }
    }
  }
}

constexpr const char* kFormats[] = {"int8/channel",  "int8/g32",
                                    "int7/g64",      "int6/g16",
                                    "int5/g32",      "int4/g32",
                                    "int4/g16",      "int4/g48",
                                    "int4/channel",  "int4/tensor",
                                    "int4/g32:u6",   "int4/g128:f32",
                                    "int3/g32",      "int3/g16",
                                    "int2/g64",      "uint8/channel",
                                    "uint8/g32",     "uint4/g32",
                                    "uint4/channel", "uint2/g16",
                                    "ternary",       "ternary1.6/channel",
                                    "binary",        "q4_0",
                                    "q4_1",          "q5_1",
                                    "q8_0",          "q2_K",
                                    "q3_K",          "q4_K",
                                    "q5_K",          "q6_K",
                                    "tq1_0",         "tq2_0",
                                    "nf4/g64",       "nf4/channel",
                                    "fp4e2m1/g32",   "fp4e2m1/tensor",
                                    "mxfp4",         "nvfp4",
                                    "log3",          "log4",
                                    "apot4",         "iq4_nl",
                                    "iq4_xs",        "fp6e2m3/g32",
                                    "fp5e2m2",       "mxfp6",
                                    "mxint8"};

TEST(FewBitGemm, EveryWidthGroupAndShape) {
  for (const char* format : kFormats) {
    for (const auto& [n, k] : std::vector<std::pair<int64_t, int64_t>>{
             {16, 32}, {1, 1}, {5, 17}, {33, 172}, {40, 256}}) {
      check(format, 1, n, k, false);
      check(format, 3, n, k, true);
      check(format, 9, n, k, true);
    }
  }
}

TEST(FewBitGemm, FloatActivations) {
  for (const char* format : kFormats) {
    for (const auto& [n, k] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {5, 17}, {33, 172}, {40, 256}}) {
      check(format, 1, n, k, false, FewBitActivations::kFloat32);
      check(format, 11, n, k, true, FewBitActivations::kFloat32);
    }
  }
}

// From 16 rows on weights are expanded to bytes. 1100 k are two blocks.
TEST(FewBitGemm, ManyRows) {
  for (const char* format : kFormats) {
    check(format, 16, 20, 48, true);
    check(format, 37, 50, 80, true);
  }
  for (const char* format : {"int4/g32", "uint3/g64", "int2/channel", "nf4/g16", "q4_K"}) {
    check(format, 70, 200, 320, true);
    check(format, 17, 33, 1100, false);
  }
}

// One group of 70,000 equal products would leave int32.
TEST(FewBitGemm, LongRowsDoNotOverflow) {
  constexpr int64_t k = 70'000;
  const std::vector<float> w(k, 1.0F);
  const std::vector<float> x(k, 1.0F);
  const PackedMatrix matrix = *encode(*parse_format("uint8/channel"), {w, 1, k, {}});
  for (const Isa isa : kAllIsas) {
    if (!isa_runs_here(isa)) continue;
    const Result<FewBitGemm> gemm = FewBitGemm::prepare(matrix, {}, {.isa = isa});
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

TEST(FewBitGemm, SaysWhatItDoesNotTake) {
  for (const char* format : {"fp8e4m3", "fp6e3m2", "codebook2", "dual4", "vq4_1x8", "sherry1.25"}) {
    EXPECT_FALSE(few_bit_takes(*parse_format(format), FewBitActivations::kFloat32));
    const PackedMatrix w = packed(format, 16, 256, 1);
    const Result<FewBitGemm> gemm = FewBitGemm::prepare(w, {});
    ASSERT_FALSE(gemm.ok());
    EXPECT_NE(gemm.error().message().find(format), std::string::npos);
  }
}

}  // namespace
}  // namespace fewbit
