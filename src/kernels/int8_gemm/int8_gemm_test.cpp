// Every instruction set against the reference, bit for bit: constant and dynamic B, every layout,
// type, zero point and output stage.

#include "kernels/int8_gemm/int8_gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernels/int8_gemm/int8_reference.h"

namespace fewbit {
namespace {

int64_t uniform(int64_t lo, int64_t hi) {
  static std::mt19937 generator(3);
  return std::uniform_int_distribution<int64_t>(lo, hi)(generator);
}

std::vector<uint8_t> random_bytes(int64_t count) {
  std::vector<uint8_t> out(static_cast<size_t>(count));
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(uniform(0, 255));
  return out;
}

int32_t random_zero(DType type) {
  return static_cast<int32_t>(type == DType::kUint8 ? uniform(0, 255) : uniform(-128, 127));
}

DType random_type() {
  return uniform(0, 1) == 0 ? DType::kUint8 : DType::kInt8;
}

std::vector<Isa> native_isas() {
  std::vector<Isa> out;
  for (Isa isa : kAllIsas) {
    const bool here = isa_runs_here(isa);
    fmt::print("  {:12} {}\n", name_of(isa), here ? "native" : "unavailable on this processor");
    if (here) out.push_back(isa);
  }
  return out;
}

struct Case {
  Int8GemmSpec spec;
  Int8GemmCall call;
  int64_t b_stride = 0;
  std::vector<uint8_t> a, b, residual, expected;
  std::vector<int32_t> bias, row_zero;
  std::vector<float> row_scale;

  int64_t c_stride() const { return call.c_stride != 0 ? call.c_stride : spec.n; }
  std::vector<uint8_t> empty_output() const {
    const int64_t elements = (call.m - 1) * c_stride() + spec.n;
    return std::vector<uint8_t>(
        static_cast<size_t>(elements * output_element_bytes(spec.output.type)), 0x5A);
  }

  void set_output(DType type) {
    Int8OutputSpec& out = spec.output;
    out.type = type;
    const int64_t scales = uniform(0, 1) == 0 ? 1 : spec.n;
    for (int64_t i = 0; i < scales; ++i) {
      out.scale.push_back(static_cast<float>(static_cast<double>(uniform(10, 100)) /
                                             (74.0 * 74.0 * std::sqrt(double(spec.k)))));
    }
    if (out.is_8bit()) {
      out.zero = random_zero(type);
      out.lo = type == DType::kUint8 ? 0 : -128;
      out.hi = out.lo + 255;
      if (uniform(0, 2) == 0) {
        out.residual = Int8Residual{.product_scale = 0.2F,
                                    .residual_scale = 0.1F,
                                    .residual_zero = random_zero(type),
                                    .out_scale = 0.3F,
                                    .lo2 = out.lo,
                                    .hi2 = out.hi};
      }
    }
    if (type == DType::kFloat32 && uniform(0, 1) == 0) {
      for (int64_t i = 0; i < spec.n; ++i) {
        out.float_bias.push_back(static_cast<float>(uniform(-99, 99)) / 8);
      }
    }
  }

  void make_data(bool with_bias) {
    const int64_t a_stride = call.a_stride != 0 ? call.a_stride : spec.k;
    a = random_bytes((call.m - 1) * a_stride + spec.k);
    const int64_t rows = spec.b_transposed ? spec.n : spec.k;
    const int64_t cols = spec.b_transposed ? spec.k : spec.n;
    b = random_bytes((rows - 1) * (b_stride != 0 ? b_stride : cols) + cols);
    for (int64_t i = 0; with_bias && i < spec.n; ++i) {
      bias.push_back(static_cast<int32_t>(uniform(-9999, 9999)));
    }
    if (spec.output.residual) residual = random_bytes(call.m * spec.n);
    expected = empty_output();
    bind(expected);
    int8_gemm_reference(spec, b.data(), b_stride, bias, call);
  }

  void bind(std::vector<uint8_t>& out) {
    call.a = a.data();
    call.c = out.data();
    call.residual = residual.empty() ? nullptr : residual.data();
    call.row_scale = row_scale.empty() ? nullptr : row_scale.data();
    call.row_zero = row_zero.empty() ? nullptr : row_zero.data();
  }

  std::string describe() const {
    return fmt::format(
        "m {} n {} k {} a {} zero {} b {} zeros {} transposed {} output {} rows {} {}", call.m,
        spec.n, spec.k, name_of(spec.a_type), spec.a_zero, name_of(spec.b_type), spec.b_zero.size(),
        spec.b_transposed, name_of(spec.output.type), row_scale.size(), row_zero.size());
  }
};

Case random_case(bool dynamic) {
  Case c;
  c.call.m = uniform(0, 3) == 0 ? 1 : uniform(1, 70);
  c.spec.n = uniform(1, 90);
  c.spec.k = uniform(0, 3) == 0 ? 64 * uniform(1, 4) : uniform(1, 150);
  c.spec.a_type = random_type();
  c.spec.b_type = random_type();
  c.spec.a_zero = random_zero(c.spec.a_type);
  c.spec.b_transposed = uniform(0, 1) == 1;
  const int64_t zeros = uniform(0, 3) == 0 ? c.spec.n : uniform(0, 1);
  for (int64_t i = 0; i < zeros; ++i) c.spec.b_zero.push_back(random_zero(c.spec.b_type));
  constexpr DType kTypes[] = {DType::kUint8, DType::kInt8, DType::kFloat32, DType::kInt32};
  c.set_output(kTypes[uniform(0, 3)]);
  if (uniform(0, 2) == 0) {
    c.call.a_stride = c.spec.k + uniform(0, 9);
    c.call.c_stride = c.spec.n + uniform(0, 9);
    if (dynamic) c.b_stride = (c.spec.b_transposed ? c.spec.k : c.spec.n) + uniform(0, 9);
  }
  if (c.spec.output.type == DType::kFloat32 && uniform(0, 1) == 0) {
    const bool zeros_too = uniform(0, 1) == 0;
    for (int64_t i = 0; i < c.call.m; ++i) {
      c.row_scale.push_back(static_cast<float>(uniform(1, 99)) / 64);
      if (zeros_too) c.row_zero.push_back(random_zero(c.spec.a_type));
    }
  }
  c.make_data(!dynamic);
  return c;
}

TEST(Int8Gemm, RandomConstantMatchesReference) {
  const std::vector<Isa> isas = native_isas();
  for (int i = 0; i < 500; ++i) {
    Case c = random_case(false);
    for (Isa isa : isas) {
      const Result<Int8Gemm> gemm = Int8Gemm::prepare(c.spec, c.b.data(), c.bias, isa);
      ASSERT_TRUE(gemm.ok()) << gemm.error().message();
      std::vector<uint8_t> out = c.empty_output();
      c.bind(out);
      gemm->run(c.call, 1);
      ASSERT_EQ(out, c.expected) << name_of(isa) << ": " << c.describe();
    }
  }
}

TEST(Int8Gemm, RandomDynamicMatchesReference) {
  const std::vector<Isa> isas = native_isas();
  for (int i = 0; i < 500; ++i) {
    Case c = random_case(true);
    for (Isa isa : isas) {
      std::vector<uint8_t> out = c.empty_output();
      c.bind(out);
      const Int8GemmBatch one = {};
      const Status done =
          run_int8_gemm_dynamic(c.spec, c.call, c.b.data(), c.b_stride, {&one, 1}, 1, isa);
      ASSERT_TRUE(done.ok()) << done.error().message();
      ASSERT_EQ(out, c.expected) << name_of(isa) << ": " << c.describe();
    }
  }
}

// Large enough for threads, split by rows (tall) and by columns (flat, and a single row); for k in
// slices and for A in the order of AMX's tiles, with sums of its rows (unsigned B); rows that
// collide in the cache.
TEST(Int8Gemm, ThreadsMatchReference) {
  struct Size {
    int64_t m, n, k;
  };
  for (const Size& s : {Size{1, 1500, 2048}, Size{20, 1000, 512}, Size{900, 40, 256},
                        Size{330, 270, 1700}, Size{140, 100, 2048}}) {
    Case c;
    if (s.k == 1700) c.spec.b_type = DType::kUint8;
    c.call.m = s.m;
    c.spec.n = s.n;
    c.spec.k = s.k;
    c.spec.a_zero = 7;
    c.set_output(DType::kUint8);
    c.make_data(true);
    for (Isa isa : native_isas()) {
      for (int threads : {2, 5}) {
        const Result<Int8Gemm> gemm = Int8Gemm::prepare(c.spec, c.b.data(), c.bias, isa);
        ASSERT_TRUE(gemm.ok());
        std::vector<uint8_t> out = c.empty_output();
        c.bind(out);
        gemm->run(c.call, threads);
        ASSERT_EQ(out, c.expected) << name_of(isa) << ": " << c.describe();
      }
    }
  }
}

// Attention: heads as a batch with interleaved rows, B transposed and unsigned, one B broadcast.
TEST(Int8Gemm, BatchesMatchReference) {
  constexpr int64_t kHeads = 3, kRows = 19, kDim = 32;
  Case c;
  c.spec.k = kDim;
  c.spec.n = kRows;
  c.spec.a_zero = 100;
  c.spec.b_type = DType::kUint8;
  c.spec.b_zero = {140};
  c.spec.b_transposed = true;
  c.spec.output.type = DType::kFloat32;
  c.spec.output.scale = {0.01F};
  const std::vector<uint8_t> a = random_bytes(kHeads * kRows * kDim);
  const std::vector<uint8_t> b = random_bytes(kHeads * kRows * kDim);
  std::vector<Int8GemmBatch> batches;
  for (int64_t h = 0; h < kHeads; ++h) {
    batches.push_back({h * kDim, h == 2 ? 0 : h * kDim, h * kRows * kRows});
  }
  c.call.m = kRows;
  c.call.a_stride = kHeads * kDim;
  c.b_stride = kHeads * kDim;
  std::vector<float> expected(kHeads * kRows * kRows), out(expected.size());
  for (const Int8GemmBatch& at : batches) {
    c.call.a = a.data() + at.a;
    c.call.c = expected.data() + at.c;
    int8_gemm_reference(c.spec, b.data() + at.b, c.b_stride, {}, c.call);
  }
  for (Isa isa : native_isas()) {
    for (int threads : {1, 2}) {
      c.call.a = a.data();
      c.call.c = out.data();
      ASSERT_TRUE(
          run_int8_gemm_dynamic(c.spec, c.call, b.data(), c.b_stride, batches, threads, isa).ok());
      EXPECT_EQ(out, expected) << name_of(isa);
    }
  }
}

TEST(Int8Gemm, BadSpecsAreErrors) {
  Int8GemmSpec good;
  good.k = good.n = 8;
  good.output.scale = {1};
  const auto fails = [&](auto change) {
    Int8GemmSpec s = good;
    change(s);
    return !validate(s).ok();
  };
  EXPECT_TRUE(validate(good).ok());
  EXPECT_TRUE(fails([](Int8GemmSpec& s) { s.k = 0; }));
  EXPECT_TRUE(fails([](Int8GemmSpec& s) { s.n = -3; }));
  EXPECT_TRUE(fails([](Int8GemmSpec& s) { s.a_type = DType::kInt32; }));
  EXPECT_TRUE(fails([](Int8GemmSpec& s) { s.b_zero = {1, 2}; }));
  EXPECT_TRUE(fails([](Int8GemmSpec& s) { s.output.scale = {}; }));
}

}  // namespace
}  // namespace fewbit
