#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "numerics/convert.h"
#include "runtime/ops/op_test_support.h"

namespace fewbit::ops {
namespace {

using Ints = std::vector<int64_t>;

Tensor counting(Dims dims) {
  std::vector<float> list(static_cast<size_t>(elements_of(dims)));
  std::iota(list.begin(), list.end(), 0.0F);
  return floats(std::move(dims), list);
}

Tensor ones(Dims dims) {
  return floats(dims, std::vector<float>(static_cast<size_t>(elements_of(dims)), 1.0F));
}

TEST(Conv, SumsWindows) {
  const Tensor y = OpCall("Conv", 11).in(counting({1, 1, 3, 3})).in(ones({1, 1, 2, 2})).output();
  EXPECT_EQ(values<float>(y), (std::vector<float>{8, 12, 20, 24}));
}

TEST(Conv, PadsStridesDilatesAndAddsBias) {
  // Taps at distance 2, one element of padding: output (0, 0) sees only x[1][1] = 4.
  const Tensor y = OpCall("Conv", 11)
                       .in(counting({1, 1, 3, 3}))
                       .in(ones({1, 1, 2, 2}))
                       .in(floats({1}, {100}))
                       .attr("pads", Ints{1, 1, 1, 1})
                       .attr("dilations", Ints{2, 2})
                       .attr("strides", Ints{2, 2})
                       .output();
  EXPECT_EQ(y.dims(), (Dims{1, 1, 2, 2}));
  EXPECT_EQ(values<float>(y), (std::vector<float>{104, 104, 104, 104}));
}

TEST(Conv, GroupsKeepChannelsApart) {
  const Tensor x = floats({1, 2, 1}, {2, 3});
  const Tensor w = floats({4, 1, 1}, {1, 10, 100, 1000});
  const Tensor y = OpCall("Conv", 11).in(x).in(w).attr("group", int64_t{2}).output();
  EXPECT_EQ(values<float>(y), (std::vector<float>{2, 20, 300, 3000}));
}

TEST(Conv, OddPaddingOfSameGoesToTheEndOrTheBeginning) {
  const auto conv = [](const char* pad) {
    return values<float>(OpCall("Conv", 11)
                             .in(floats({1, 1, 3}, {1, 2, 4}))
                             .in(ones({1, 1, 2}))
                             .attr("auto_pad", std::string(pad))
                             .output());
  };
  EXPECT_EQ(conv("SAME_UPPER"), (std::vector<float>{3, 6, 4}));
  EXPECT_EQ(conv("SAME_LOWER"), (std::vector<float>{1, 3, 6}));
}

TEST(Conv, NarrowFloatsAreRoundedOnce) {
  const Tensor x = *cast(floats({1, 1, 2}, {1, 0.5F}), DType::kFloat16);
  const Tensor w = *cast(floats({1, 1, 1}, {3}), DType::kFloat16);
  const Tensor y = OpCall("Conv", 11).in(x).in(w).output();
  EXPECT_EQ(y.type(), DType::kFloat16);
  EXPECT_EQ(values<float>(*cast(y, DType::kFloat32)), (std::vector<float>{3, 1.5F}));
}

// A convolution is linear, and the transposed one is its adjoint: <conv(x), y> = <x,
// transposed(y)>. In double the two sides differ by rounding only.
TEST(ConvTranspose, IsTheAdjointOfConv) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  const auto noise = [&](Dims dims) {
    std::vector<double> list(static_cast<size_t>(elements_of(dims)));
    for (double& v : list) v = normal(random);
    return tensor<double>(dims, list);
  };
  for (const int64_t group : {1, 2}) {
    const Tensor x = noise({2, 4, 6, 5});
    const Tensor w = noise({6, 4 / group, 3, 2});
    const auto with = [&](OpCall call) {
      return call.attr("group", group)
          .attr("pads", Ints{1, 0, 1, 1})
          .attr("strides", Ints{2, 2})
          .attr("dilations", Ints{1, 2})
          .output();
    };
    const Tensor cx = with(OpCall("Conv", 11).in(x).in(w));
    const Tensor y = noise(cx.dims());
    const Tensor back =
        with(OpCall("ConvTranspose", 11).in(y).in(w).attr("output_padding", Ints{1, 1}));
    ASSERT_EQ(back.dims(), x.dims());
    double left = 0, right = 0, scale = 0;
    for (int64_t i = 0; i < y.elements(); ++i) left += cx.data<double>()[i] * y.data<double>()[i];
    for (int64_t i = 0; i < x.elements(); ++i) {
      right += x.data<double>()[i] * back.data<double>()[i];
      scale += std::fabs(x.data<double>()[i] * back.data<double>()[i]);
    }
    EXPECT_NEAR(left, right, 1e-12 * scale);
  }
}

TEST(ConvTranspose, OutputBeyondTheTapsIsBias) {
  const Tensor y = OpCall("ConvTranspose", 11)
                       .in(floats({1, 1, 2}, {1, 2}))
                       .in(ones({1, 1, 2}))
                       .in(floats({1}, {10}))
                       .attr("output_shape", Ints{5})
                       .output();
  EXPECT_EQ(values<float>(y), (std::vector<float>{11, 13, 12, 10, 10}));
}

TEST(Conv, IntegerFormSubtractsZeroPoints) {
  const Tensor x = tensor<uint8_t>({1, 1, 3}, {1, 2, 255});
  const Tensor w = tensor<int8_t>({2, 1, 2}, {1, 1, -128, 127});
  const Tensor y = OpCall("ConvInteger", 10)
                       .in(x)
                       .in(w)
                       .in(tensor<uint8_t>({}, {1}))
                       .in(tensor<int8_t>({2}, {0, -1}))
                       .output();
  EXPECT_EQ(values<int32_t>(y), (std::vector<int32_t>{1, 255, 128, -127 + 254 * 128}));
}

TEST(Conv, QLinearRoundsHalfToEvenAndSaturates) {
  const auto conv = [](std::vector<uint8_t> x, float y_scale) {
    const auto n = static_cast<int64_t>(x.size());
    return values<uint8_t>(OpCall("QLinearConv", 10)
                               .in(tensor<uint8_t>({1, 1, n}, std::move(x)))
                               .in(Tensor::scalar(1.0F))
                               .in(Tensor::scalar(uint8_t{0}))
                               .in(tensor<uint8_t>({1, 1, 1}, {1}))
                               .in(Tensor::scalar(1.0F))
                               .in(Tensor::scalar(uint8_t{0}))
                               .in(Tensor::scalar(y_scale))
                               .in(Tensor::scalar(uint8_t{10}))
                               .output());
  };
  EXPECT_EQ(conv({1, 3, 5, 255}, 2.0F), (std::vector<uint8_t>{10, 12, 12, 138}));
  EXPECT_EQ(conv({255}, 0.5F), (std::vector<uint8_t>{255}));
}

TEST(DeformConv, OffsetsMoveTheTaps) {
  // All taps moved by half an element down: every sum is that of a window half a row lower.
  std::vector<float> offset(8 * 2 * 2, 0.0F);
  for (size_t k = 0; k < 4; ++k) std::fill_n(offset.begin() + static_cast<long>(k * 8), 4, 0.5F);
  const Tensor y = OpCall("DeformConv", 19)
                       .in(counting({1, 1, 4, 3}))
                       .in(ones({1, 1, 2, 2}))
                       .in(floats({1, 8, 2, 2}, offset))
                       .attr("pads", Ints{0, 0, 0, 0})
                       .attr("strides", Ints{2, 1})
                       .output();
  // The lower windows reach half outside, at row 3.5: 7.5 + 8.5 + (9 + 10) / 2.
  EXPECT_EQ(values<float>(y), (std::vector<float>{14, 18, 25.5F, 28.5F}));
}

TEST(Conv, RefusesWhatDoesNotFit) {
  const Tensor x = ones({1, 4, 5, 5});
  EXPECT_NE(OpCall("Conv", 11).in(x).in(ones({2, 3, 3, 3})).error(), "");
  EXPECT_NE(OpCall("Conv", 11).in(x).in(ones({2, 4, 6, 3})).error(), "");
  EXPECT_NE(OpCall("Conv", 11).in(x).in(ones({2, 2, 3, 3})).attr("group", int64_t{3}).error(), "");
  EXPECT_NE(OpCall("Conv", 11).in(x).in(ones({2, 4, 3, 3})).in(ones({3})).error(), "");
  EXPECT_NE(OpCall("Conv", 11).in(x).in(ones({2, 4, 3, 3})).attr("strides", Ints{0, 1}).error(),
            "");
  EXPECT_NE(OpCall("Conv", 11).in(x).in(ones({2, 4, 3, 3})).attr("pads", Ints{1}).error(), "");
  const int64_t huge = int64_t{1} << 62;
  for (const char* key : {"strides", "dilations"}) {
    EXPECT_NE(OpCall("Conv", 11).in(x).in(ones({2, 4, 3, 3})).attr(key, Ints{huge, huge}).error(),
              "");
  }
  EXPECT_NE(
      OpCall("Conv", 11).in(x).in(ones({2, 4, 3, 3})).attr("pads", Ints{huge, 0, huge, 0}).error(),
      "");
  EXPECT_NE(OpCall("ConvTranspose", 11)
                .in(x)
                .in(ones({4, 1, 3, 3}))
                .attr("output_shape", Ints{huge, huge})
                .error(),
            "");
}

}  // namespace
}  // namespace fewbit::ops
