// Every instruction set against sums written out: signs with tails, groups, strides, dilation and
// padding that counts for nothing; planes of bits.

#include "kernels/binary/binary.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "kernels/binary/bit_core.h"
#include "kernels/int8_conv/int8_conv_spec.h"

namespace fewbit {
namespace {

std::vector<Isa> isas_here() {
  std::vector<Isa> out;
  for (const binary::Row* row : binary::all_rows()) {
    const bool here = row->runs_here();
    fmt::print("  {:18} {}\n", row->label, here ? "native" : "unavailable on this processor");
    if (here) out.push_back(row->isa);
  }
  return out;
}

int sign(float x) {
  return x >= 0 ? 1 : -1;
}

struct Case {
  BinaryConvSpec spec;
  BinaryConvShape shape;
  std::vector<float> weights, input;
  std::vector<uint64_t> bits;
  std::vector<int32_t> expected;

  void make_data(Random& random) {
    weights.resize(static_cast<size_t>(spec.out_channels * spec.group_in() * spec.taps()));
    const int64_t pixels = shape.batch * shape.in_h * shape.in_w;
    input.resize(static_cast<size_t>(pixels * spec.in_channels));
    random.fill_normal(weights, 0.1F, 1);
    random.fill_normal(input, -0.1F, 1);
    input[0] = 0;
    const int64_t words = bit_words(spec.group_in());
    bits.resize(static_cast<size_t>(pixels * spec.pixel_words()));
    for (int64_t i = 0; i < pixels * spec.groups; ++i) {
      pack_signs(input.data() + i * spec.group_in(), spec.group_in(), bits.data() + i * words);
    }
    for (int64_t b = 0; b < shape.batch; ++b) {
      for (int64_t y = 0; y < shape.out_h; ++y) {
        for (int64_t x = 0; x < shape.out_w; ++x) {
          for (int64_t n = 0; n < spec.out_channels; ++n) expected.push_back(dot(b, y, x, n));
        }
      }
    }
  }

  int32_t dot(int64_t b, int64_t y, int64_t x, int64_t n) const {
    int32_t sum = 0;
    const int64_t channels = spec.group_in(), first = n / spec.group_out() * channels;
    for (int64_t tap = 0; tap < spec.taps(); ++tap) {
      const int64_t iy = y * spec.stride_h - spec.pad_top + tap / spec.kernel_w * spec.dilation_h;
      const int64_t ix = x * spec.stride_w - spec.pad_left + tap % spec.kernel_w * spec.dilation_w;
      if (iy < 0 || iy >= shape.in_h || ix < 0 || ix >= shape.in_w) continue;
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t at = ((b * shape.in_h + iy) * shape.in_w + ix) * spec.in_channels + first + c;
        sum += sign(input[static_cast<size_t>(at)]) *
               sign(weights[static_cast<size_t>((n * channels + c) * spec.taps() + tap)]);
      }
    }
    return sum;
  }

  void check(Isa isa, int threads) const {
    const auto conv = BinaryConv::prepare(spec, weights, isa);
    ASSERT_TRUE(conv.ok()) << conv.error().message();
    std::vector<int32_t> dots(expected.size(), -77);
    conv->run(shape, bits.data(), dots.data(), threads);
    ASSERT_EQ(dots, expected) << name_of(isa) << " " << spec.in_channels << "->"
                              << spec.out_channels << " groups " << spec.groups << " kernel "
                              << spec.kernel_h << "x" << spec.kernel_w;
  }
};

TEST(BinaryKernels, ConvolutionsOfSignsAreExact) {
  Random random(4);
  const auto pick = [&](int64_t lo, int64_t hi) {
    return lo + static_cast<int64_t>(random.below(static_cast<uint64_t>(hi - lo + 1)));
  };
  const std::vector<Isa> isas = isas_here();
  for (int i = 0; i < 120; ++i) {
    Case c;
    BinaryConvSpec& s = c.spec;
    s.groups = i % 4 == 0 ? pick(2, 3) : 1;
    s.in_channels = s.groups * pick(1, 200);
    s.out_channels = s.groups * pick(1, 40);
    s.kernel_h = pick(1, 3);
    s.kernel_w = pick(1, 3);
    s.stride_h = pick(1, 2);
    s.stride_w = pick(1, 2);
    s.dilation_h = i % 5 == 0 ? 2 : 1;
    s.dilation_w = i % 7 == 0 ? 2 : 1;
    s.pad_top = pick(0, 2);
    s.pad_left = pick(0, 2);
    if (i % 6 == 0) s.kernel_h = s.kernel_w = 1;
    if (i % 12 == 0) s.stride_h = s.stride_w = 1, s.pad_top = s.pad_left = 0;
    c.shape.batch = pick(1, 2);
    do {
      c.shape.in_h = pick(1, 8);
      c.shape.in_w = pick(1, 9);
      c.shape.out_h = conv_output_size(c.shape.in_h, s.kernel_h, s.stride_h, s.dilation_h,
                                       s.pad_top, s.pad_top);
      c.shape.out_w = conv_output_size(c.shape.in_w, s.kernel_w, s.stride_w, s.dilation_w,
                                       s.pad_left, s.pad_left);
    } while (c.shape.out_h == 0 || c.shape.out_w == 0);
    c.make_data(random);
    for (Isa isa : isas) {
      c.check(isa, i % 3 + 1);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(BinaryKernels, ScalesAreMeanMagnitudes) {
  BinaryConvSpec spec;
  spec.in_channels = 2;
  spec.out_channels = 2;
  const auto conv = BinaryConv::prepare(spec, std::vector<float>{1, -3, 0.5F, 0.25F});
  ASSERT_TRUE(conv.ok());
  EXPECT_FLOAT_EQ(conv->scales()[0], 2);
  EXPECT_FLOAT_EQ(conv->scales()[1], 0.375F);
}

TEST(BinaryKernels, BitSerialProductsAreExact) {
  Random random(9);
  for (Isa isa : isas_here()) {
    for (int w_bits = 1; w_bits <= 2; ++w_bits) {
      for (int a_bits = 1; a_bits <= 4; ++a_bits) {
        const int64_t m = 37, n = 21, k = 130 + 61 * a_bits;
        std::vector<uint8_t> w(static_cast<size_t>(n * k)), a(static_cast<size_t>(m * k));
        for (uint8_t& c : w) c = static_cast<uint8_t>(random.below(1ULL << w_bits));
        for (uint8_t& c : a) c = static_cast<uint8_t>(random.below(1ULL << a_bits));
        const int32_t zero = w_bits;
        std::vector<int32_t> expected(static_cast<size_t>(m * n), 0), y(expected.size(), -5);
        for (int64_t i = 0; i < m * n; ++i) {
          for (int64_t j = 0; j < k; ++j) {
            expected[static_cast<size_t>(i)] += a[static_cast<size_t>(i / n * k + j)] *
                                                (w[static_cast<size_t>(i % n * k + j)] - zero);
          }
        }
        const auto gemm = BitSerialGemm::prepare(w, n, k, w_bits, zero, isa);
        ASSERT_TRUE(gemm.ok());
        gemm->run(a.data(), m, a_bits, y.data(), a_bits % 2 + 1);
        ASSERT_EQ(y, expected) << name_of(isa) << " w" << w_bits << "a" << a_bits;
      }
    }
  }
}

TEST(BinaryKernels, BadSizesAreErrors) {
  BinaryConvSpec spec;
  spec.in_channels = 6;
  spec.out_channels = 4;
  EXPECT_FALSE(BinaryConv::prepare(spec, std::vector<float>(23)).ok());
  spec.groups = 4;
  EXPECT_FALSE(BinaryConv::prepare(spec, std::vector<float>(24)).ok());
  EXPECT_FALSE(BitSerialGemm::prepare(std::vector<uint8_t>(6), 2, 3, 3, 0).ok());
  EXPECT_FALSE(BitSerialGemm::prepare(std::vector<uint8_t>(6), 2, 4, 1, 0).ok());
}

}  // namespace
}  // namespace fewbit
