// Every instruction set against the reference, bit for bit: dense, grouped and depthwise
// convolutions of many shapes, with every output stage.

#include "kernels/int8_conv/int8_conv.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernels/int8_conv/int8_conv_reference.h"
#include "kernels/int8_conv/product_conv.h"

namespace fewbit {
namespace {

std::mt19937& random_bits() {
  static std::mt19937 generator(7);
  return generator;
}

int64_t uniform(int64_t lo, int64_t hi) {
  return std::uniform_int_distribution<int64_t>(lo, hi)(random_bits());
}

std::vector<uint8_t> random_bytes(int64_t count) {
  std::vector<uint8_t> out(static_cast<size_t>(count));
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(uniform(0, 255));
  return out;
}

int32_t random_zero(DType type) {
  return static_cast<int32_t>(type == DType::kUint8 ? uniform(0, 255) : uniform(-128, 127));
}

// A product, its data, and the result of the reference.
struct Case {
  Int8ConvSpec spec;
  Int8ConvShape shape;
  std::vector<uint8_t> weights, input, residual, expected;
  std::vector<int32_t> bias;
  int weight_bits = 8;  ///< of the values; less with spec.few_bits

  void set_output(DType type, bool residual_add, bool lut) {
    Int8OutputSpec& out = spec.output;
    out.type = type;
    const double k = static_cast<double>(spec.taps() * spec.group_in_channels());
    out.scale.clear();
    // Sums of k products of standard deviation about 74 * 74: results spread over the bytes.
    const int64_t scales = uniform(0, 3) == 0 ? 1 : spec.out_channels;
    for (int64_t c = 0; c < scales; ++c) {
      out.scale.push_back(
          static_cast<float>(static_cast<double>(uniform(10, 100)) / (74.0 * 74.0 * std::sqrt(k))));
    }
    if (!out.is_8bit()) {
      if (type == DType::kFloat32 && uniform(0, 1) == 1) {
        for (int64_t c = 0; c < spec.out_channels; ++c) {
          out.float_bias.push_back(static_cast<float>(uniform(-100, 100)) / 16);
        }
        out.float_lo = 0;
        out.float_hi = 6;
      }
      return;
    }
    const int32_t least = type == DType::kUint8 ? 0 : -128;
    out.zero = random_zero(type);
    out.lo = uniform(0, 1) == 0 ? least : out.zero;
    out.hi = static_cast<int32_t>(uniform(std::max(out.lo, least + 200), least + 255));
    if (residual_add) {
      out.residual = Int8Residual{.product_scale = 0.11F,
                                  .product_zero = random_zero(type),
                                  .residual_scale = 0.07F,
                                  .residual_zero = random_zero(type),
                                  .out_scale = 0.13F,
                                  .out_zero = random_zero(type),
                                  .lo2 = least + 3,
                                  .hi2 = least + 250,
                                  .residual_first = uniform(0, 1) == 1};
    }
    if (lut) out.lut = random_bytes(256);
  }

  int64_t pixels_out() const { return shape.batch * shape.out_h * shape.out_w; }

  void make_data() {
    const auto dense = [](int64_t stride, int64_t channels) {
      return stride != 0 ? stride : channels;
    };
    const int64_t in_stride = dense(shape.in_pixel_stride, spec.in_channels);
    const int64_t out_stride = dense(shape.out_pixel_stride, spec.out_channels);
    // Exactly sized: the last pixel ends the buffer, so that a sanitizer sees any over-read.
    const int64_t in_pixels = shape.batch * shape.in_h * shape.in_w;
    input = random_bytes((in_pixels - 1) * in_stride + spec.in_channels);
    weights = random_bytes(spec.out_channels * spec.group_in_channels() * spec.taps());
    if (spec.few_bits) narrow_weights();
    bias.clear();
    for (int64_t c = 0; c < spec.out_channels; ++c) {
      bias.push_back(static_cast<int32_t>(uniform(-20000, 20000)));
    }
    if (spec.output.residual) {
      const int64_t stride = dense(shape.residual_pixel_stride, spec.out_channels);
      residual = random_bytes((pixels_out() - 1) * stride + spec.out_channels);
    }
    expected = empty_output(out_stride);
    int8_conv_reference(spec, shape, weights.data(), bias, input.data(),
                        spec.output.residual ? residual.data() : nullptr, expected.data());
  }

  // Brings the weights of every channel into `weight_bits` bits around some value; 1 bit: -1 and 1.
  void narrow_weights() {
    spec.weight_type = DType::kInt8;
    spec.weight_zero.clear();
    const auto per_channel = static_cast<size_t>(spec.group_in_channels() * spec.taps());
    const int32_t codes = 1 << weight_bits;
    int32_t least = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      if (i % per_channel == 0) least = static_cast<int32_t>(uniform(1 - codes, 0));
      const int32_t code = weights[i] % codes;
      weights[i] = static_cast<uint8_t>(weight_bits == 1 ? 2 * code - 1 : least + code);
    }
  }

  std::vector<uint8_t> empty_output(int64_t out_stride) const {
    const int64_t elements = (pixels_out() - 1) * out_stride + spec.out_channels;
    return std::vector<uint8_t>(
        static_cast<size_t>(elements * output_element_bytes(spec.output.type)), 0xA5);
  }

  void check(Isa isa, int threads) const {
    const Result<Int8Conv> conv = Int8Conv::prepare(spec, weights.data(), bias, isa);
    ASSERT_TRUE(conv.ok()) << conv.error().message();
    std::vector<uint8_t> out(expected.size(), 0xA5);
    conv->run(shape, input.data(), spec.output.residual ? residual.data() : nullptr, out.data(),
              threads);
    ASSERT_EQ(out, expected) << name_of(isa) << ": " << describe();
    if (spec.few_bits && spec.groups == 1) {
      // 1 bit has no zero to fill up with: then it is two.
      EXPECT_LE(conv->weight_bits(), std::max(weight_bits, 2));
      EXPECT_LE(conv->packed_bytes(), most_bytes(conv->weight_bits(), isa));
    }
  }

  /// Of packed weights, everything rounded up.
  int64_t most_bytes(int bits, Isa isa) const {
    const int64_t k = isa == Isa::kAmx ? 64 : 4;
    const int64_t run = spec.dilation_w == 1 ? spec.kernel_w * spec.in_channels : spec.in_channels;
    const int64_t runs = spec.taps() * spec.in_channels / run;
    const int64_t padded = (runs * ((run + k - 1) / k * k) + 31) / 32 * 32;
    return (spec.out_channels + 15) / 16 * 16 * padded * bits / 8;
  }

  /// The same on a row of the table, which may be an emulated one.
  void check_row(const int8::Row& row) const {
    const auto conv = int8::make_product_conv(spec, weights.data(), bias, row);
    std::vector<uint8_t> out(expected.size(), 0xA5);
    conv->run(shape, input.data(), spec.output.residual ? residual.data() : nullptr, out.data(), 1);
    ASSERT_EQ(out, expected) << row.label << ": " << describe();
  }

  std::string describe() const {
    return fmt::format(
        "in {}x{}x{}x{} (pixel {}) out {}x{}x{} (pixel {}) kernel {}x{} stride {},{} dilation "
        "{},{} "
        "pad {},{} groups {} input {} zero {} weights {} zeros {} output {} zero {} [{}, {}] "
        "residual {} lut {}",
        shape.batch, shape.in_h, shape.in_w, spec.in_channels, shape.in_pixel_stride, shape.out_h,
        shape.out_w, spec.out_channels, shape.out_pixel_stride, spec.kernel_h, spec.kernel_w,
        spec.stride_h, spec.stride_w, spec.dilation_h, spec.dilation_w, spec.pad_top, spec.pad_left,
        spec.groups, name_of(spec.input_type), spec.input_zero, name_of(spec.weight_type),
        spec.weight_zero.size(), name_of(spec.output.type), spec.output.zero, spec.output.lo,
        spec.output.hi, spec.output.residual.has_value(), spec.output.lut.size());
  }
};

void randomize_numbers(Case& c) {
  Int8ConvSpec& s = c.spec;
  s.input_type = uniform(0, 2) == 0 ? DType::kInt8 : DType::kUint8;
  s.input_zero = random_zero(s.input_type);
  s.weight_type = uniform(0, 3) == 0 ? DType::kUint8 : DType::kInt8;
  const int64_t zeros = uniform(0, 3) == 0 ? s.out_channels : uniform(0, 1);
  for (int64_t i = 0; i < zeros; ++i) s.weight_zero.push_back(random_zero(s.weight_type));
  constexpr DType kTypes[] = {DType::kUint8, DType::kUint8, DType::kInt8, DType::kFloat32,
                              DType::kInt32};
  const DType type = kTypes[uniform(0, 4)];
  const bool byte = type == DType::kUint8 || type == DType::kInt8;
  c.set_output(type, byte && uniform(0, 2) == 0, byte && uniform(0, 3) == 0);
}

Case random_case(bool depthwise) {
  Case c;
  Int8ConvSpec& s = c.spec;
  if (depthwise) {
    s.in_channels = s.out_channels = s.groups = uniform(2, 150);
  } else {
    s.groups = uniform(0, 2) == 0 ? uniform(1, 5) : 1;
    s.in_channels = s.groups * uniform(1, s.groups > 1 ? 20 : 70);
    s.out_channels = s.groups * uniform(1, s.groups > 1 ? 20 : 100);
  }
  s.kernel_h = uniform(1, 5);
  s.kernel_w = uniform(1, 5);
  s.stride_h = uniform(1, 3);
  s.stride_w = uniform(1, 3);
  s.dilation_h = uniform(0, 3) == 0 ? 2 : 1;
  s.dilation_w = uniform(0, 3) == 0 ? 2 : 1;
  if (uniform(0, 2) == 0) s.kernel_h = s.kernel_w = 1;
  s.pad_top = uniform(0, 2);
  s.pad_left = uniform(0, 2);
  Int8ConvShape& shape = c.shape;
  shape.batch = uniform(1, 2);
  do {
    shape.in_h = uniform(1, 12);
    shape.in_w = uniform(1, 20);
    shape.out_h = conv_output_size(shape.in_h, s.kernel_h, s.stride_h, s.dilation_h, s.pad_top,
                                   uniform(0, 2));
    shape.out_w = conv_output_size(shape.in_w, s.kernel_w, s.stride_w, s.dilation_w, s.pad_left,
                                   uniform(0, 2));
  } while (shape.out_h == 0 || shape.out_w == 0);
  if (uniform(0, 3) == 0) {
    shape.in_pixel_stride = s.in_channels + uniform(0, 9);
    shape.out_pixel_stride = s.out_channels + uniform(0, 9);
    shape.residual_pixel_stride = s.out_channels + uniform(0, 9);
  }
  randomize_numbers(c);
  return c;
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

std::vector<const int8::Row*> emulated_rows() {
  std::vector<const int8::Row*> out;
  for (const int8::Row* row : int8::all_rows()) {
    if (!row->emulated) continue;
    fmt::print("  {:12} emulated\n", name_of(row->isa));
    out.push_back(row);
  }
  return out;
}

void run_few_bit_cases(int count) {
  const std::vector<Isa> isas = native_isas();
  const std::vector<const int8::Row*> emulated = emulated_rows();
  for (int i = 0; i < count; ++i) {
    Case c = random_case(i % 10 == 9);
    c.spec.few_bits = true;
    c.weight_bits = i % 7 + 1;
    // Some large enough that a thread unpacks two panels at a time.
    if (i % 20 == 0) {
      c.spec.in_channels = 640 * c.spec.groups;
      c.spec.out_channels = 112 * c.spec.groups;
      c.shape.in_pixel_stride = c.shape.out_pixel_stride = c.shape.residual_pixel_stride = 0;
      c.spec.output = {};
      c.set_output(DType::kUint8, true, false);
    }
    c.make_data();
    for (Isa isa : isas) {
      c.check(isa, i % 3 + 1);
      if (::testing::Test::HasFatalFailure()) return;
    }
    for (const int8::Row* row : emulated) {
      if (i % 4 == 0) c.check_row(*row);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

void run_cases(bool depthwise, int count) {
  const std::vector<Isa> isas = native_isas();
  for (int i = 0; i < count; ++i) {
    Case c = random_case(depthwise);
    c.make_data();
    for (Isa isa : isas) {
      c.check(isa, 1);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

// Instruction sets that this processor may lack, in plain C++.
TEST(Int8Conv, EmulatedRowsMatchReference) {
  const std::vector<const int8::Row*> rows = emulated_rows();
  for (int i = 0; i < 150; ++i) {
    Case c = random_case(false);
    c.make_data();
    for (const int8::Row* row : rows) {
      c.check_row(*row);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Int8Conv, RandomDenseAndGroupedMatchReference) {
  run_cases(false, 400);
}
TEST(Int8Conv, RandomDepthwiseMatchesReference) {
  run_cases(true, 400);
}

TEST(Int8Conv, WeightsInFewBitsMatchReference) {
  run_few_bit_cases(420);
}

// What needs 8 bits stays as it is.
TEST(Int8Conv, WideWeightsAreNotCompressed) {
  Case c;
  c.spec.in_channels = c.spec.out_channels = 32;
  c.set_output(DType::kUint8, false, false);
  c.spec.few_bits = true;
  std::vector<int8_t> weights(32 * 32, 0);
  weights[5] = 127;
  weights[6] = -1;
  const Result<Int8Conv> conv = Int8Conv::prepare(c.spec, weights.data(), {});
  ASSERT_TRUE(conv.ok());
  EXPECT_EQ(conv->weight_bits(), 8);
}

// Shapes of real networks, plain requantization, with threads: the fast paths.
TEST(Int8Conv, NetworkShapesMatchReference) {
  struct Shape {
    int64_t size, in, out, kernel, stride, groups;
  };
  constexpr Shape kShapes[] = {
      {56, 3, 32, 3, 2, 1},      {29, 64, 64, 3, 1, 1},    {14, 256, 72, 3, 2, 1},
      {28, 96, 24, 1, 1, 1},     {7, 320, 1280, 1, 1, 1},  {40, 3, 64, 7, 2, 1},
      {28, 144, 144, 3, 1, 144}, {29, 96, 96, 3, 2, 96},   {28, 32, 32, 3, 1, 32},
      {14, 240, 240, 5, 1, 240}, {14, 672, 672, 5, 2, 672}};
  const std::vector<Isa> isas = native_isas();
  for (const Shape& n : kShapes) {
    Case c;
    c.spec.in_channels = n.in;
    c.spec.out_channels = n.out;
    c.spec.groups = n.groups;
    c.spec.kernel_h = c.spec.kernel_w = n.kernel;
    c.spec.stride_h = c.spec.stride_w = n.stride;
    c.spec.pad_top = c.spec.pad_left = n.kernel / 2;
    c.spec.input_zero = 117;
    c.shape.in_h = c.shape.in_w = n.size;
    c.shape.out_h = c.shape.out_w =
        conv_output_size(n.size, n.kernel, n.stride, 1, n.kernel / 2, n.kernel / 2);
    c.set_output(DType::kUint8, false, false);
    c.make_data();
    for (Isa isa : isas) {
      for (int threads : {1, 2, 3}) c.check(isa, threads);
      if (HasFatalFailure()) return;
    }
  }
}

// Multipliers so large that float(acc) * scale leaves int32: the result must still saturate.
TEST(Int8Conv, HugeScalesSaturate) {
  for (bool depthwise : {false, true}) {
    Case c;
    c.spec.in_channels = c.spec.out_channels = 20;
    c.spec.groups = depthwise ? 20 : 1;
    c.spec.kernel_h = c.spec.kernel_w = 3;
    c.spec.pad_top = c.spec.pad_left = 1;
    c.shape.in_h = c.shape.in_w = c.shape.out_h = c.shape.out_w = 6;
    c.set_output(DType::kInt8, false, false);
    c.spec.output.scale.assign(20, 3e8F);
    c.spec.output.zero = -100;
    c.spec.output.lo = -128;
    c.make_data();
    for (Isa isa : native_isas()) c.check(isa, 1);
  }
}

TEST(Int8Conv, ResidualMayBeTheOutput) {
  Case c;
  c.spec.in_channels = 24;
  c.spec.out_channels = 40;
  c.shape.in_h = c.shape.in_w = c.shape.out_h = c.shape.out_w = 9;
  c.set_output(DType::kUint8, true, false);
  c.make_data();
  for (Isa isa : native_isas()) {
    const Result<Int8Conv> conv = Int8Conv::prepare(c.spec, c.weights.data(), c.bias, isa);
    ASSERT_TRUE(conv.ok());
    std::vector<uint8_t> out = c.residual;
    conv->run(c.shape, c.input.data(), out.data(), out.data(), 2);
    EXPECT_EQ(out, c.expected) << name_of(isa);
  }
}

TEST(Int8Conv, BadSpecsAreErrors) {
  Case good;
  good.spec.in_channels = good.spec.out_channels = 8;
  good.set_output(DType::kUint8, true, true);
  const auto fails = [&](auto change) {
    Int8ConvSpec s = good.spec;
    change(s);
    return !Int8Conv::prepare(s, nullptr, {}).ok();
  };
  EXPECT_TRUE(fails([](Int8ConvSpec& s) { s.groups = 3; }));
  EXPECT_TRUE(fails([](Int8ConvSpec& s) { s.kernel_h = 0; }));
  EXPECT_TRUE(fails([](Int8ConvSpec& s) { s.stride_w = -1; }));
  EXPECT_TRUE(fails([](Int8ConvSpec& s) { s.input_zero = 300; }));
  EXPECT_TRUE(fails([](Int8ConvSpec& s) { s.input_type = DType::kFloat32; }));
  EXPECT_TRUE(fails([](Int8ConvSpec& s) { s.weight_zero = {0, 0, 0}; }));
  EXPECT_TRUE(fails([](Int8ConvSpec& s) { s.weight_zero = {200}; }));
  EXPECT_TRUE(fails([](Int8ConvSpec& s) { s.output.scale = {1, 2}; }));
  EXPECT_TRUE(fails([](Int8ConvSpec& s) { s.output.scale = {std::nanf("")}; }));
  EXPECT_TRUE(fails([](Int8ConvSpec& s) { s.output.lut.resize(3); }));
  EXPECT_TRUE(fails([](Int8ConvSpec& s) { s.output.lo = 9, s.output.hi = 8; }));
  EXPECT_TRUE(fails([](Int8ConvSpec& s) { s.output.residual->out_scale = 0; }));
  EXPECT_TRUE(fails([](Int8ConvSpec& s) { s.output.type = DType::kInt16; }));
  EXPECT_FALSE(Int8Conv::prepare(good.spec, nullptr, std::vector<int32_t>(5)).ok());
}

}  // namespace
}  // namespace fewbit
