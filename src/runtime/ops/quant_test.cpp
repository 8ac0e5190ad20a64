#include <gtest/gtest.h>

#include <cmath>

#include "numerics/convert.h"
#include "runtime/ops/op_test_support.h"
#include "runtime/ops/quant_math.h"

namespace fewbit::ops {
namespace {

using Ints = std::vector<int64_t>;

template <typename Q>
Tensor one(Q value) {
  return Tensor::scalar(value);
}

TEST(ToCode, RoundsHalfToEvenAndHoldsEveryFloat) {
  EXPECT_EQ(to_code<int8_t>(0.5F, 0), 0);
  EXPECT_EQ(to_code<int8_t>(1.5F, 0), 2);
  EXPECT_EQ(to_code<int8_t>(-2.5F, 1), -1);
  EXPECT_EQ(to_code<uint8_t>(1e30F, 5), 255);
  EXPECT_EQ(to_code<uint8_t>(-INFINITY, 5), 0);
  EXPECT_EQ(to_code<int8_t>(NAN, 0), -128);
  EXPECT_EQ(to_code<int16_t>(-32768.4F, 0), -32768);
  for (int32_t i = -255; i <= 255; ++i) {
    const float x = static_cast<float>(i) / 2;
    EXPECT_EQ(round_even_small(x), std::nearbyint(x)) << x;
  }
}

TEST(QuantizeLinear, PerTensorAxisAndBlock) {
  const Tensor x = floats({2, 4}, {1, 2, 3, 4, -1, -2, -3, -4});
  const auto quantize = [&](Tensor scale, Ints axis_and_block) {
    OpCall call("QuantizeLinear", 21);
    call.in(x).in(std::move(scale)).attr("output_dtype", int64_t{3});
    call.attr("axis", axis_and_block[0]).attr("block_size", axis_and_block[1]);
    return values<int8_t>(call.output());
  };
  EXPECT_EQ(quantize(one(0.5F), {1, 0}), (std::vector<int8_t>{2, 4, 6, 8, -2, -4, -6, -8}));
  EXPECT_EQ(quantize(floats({2}, {1, 0.5F}), {0, 0}),
            (std::vector<int8_t>{1, 2, 3, 4, -2, -4, -6, -8}));
  EXPECT_EQ(quantize(floats({4}, {1, 2, 3, 4}), {1, 0}),
            (std::vector<int8_t>{1, 1, 1, 1, -1, -1, -1, -1}));
  // Blocks of 3 along the last axis: the second holds one element.
  EXPECT_EQ(quantize(floats({2, 2}, {1, 4, 0.5F, 2}), {1, 3}),
            (std::vector<int8_t>{1, 2, 3, 1, -2, -4, -6, -2}));
  EXPECT_EQ(quantize(floats({1, 4}, {1, 2, 1, 2}), {0, 2}),
            (std::vector<int8_t>{1, 1, 3, 2, -1, -1, -3, -2}));
}

// Each code type: quantize, dequantize, quantize again gives the same bytes.
TEST(QuantizeLinear, EveryCodeTypeComesBack) {
  const Tensor x = floats({3, 3}, {-9, -2, -1, -0.4F, 0, 0.6F, 1, 2, 9});
  for (const DType type :
       {DType::kInt8, DType::kUint8, DType::kInt16, DType::kUint16, DType::kInt4, DType::kUint4,
        DType::kInt2, DType::kUint2, DType::kFloat8E4M3FN, DType::kFloat8E4M3FNUZ,
        DType::kFloat8E5M2, DType::kFloat8E5M2FNUZ, DType::kFloat4E2M1}) {
    const auto quantize = [&](const Tensor& in) {
      return OpCall("QuantizeLinear", 25)
          .in(in)
          .in(one(1.0F))
          .attr("output_dtype", static_cast<int64_t>(type))
          .output();
    };
    const Tensor codes = quantize(x);
    ASSERT_EQ(codes.type(), type) << name_of(type);
    const Tensor real = OpCall("DequantizeLinear", 25).in(codes).in(one(1.0F)).output();
    EXPECT_EQ(real.data<float>()[7], type == DType::kInt2 ? 1 : 2) << name_of(type);
    EXPECT_TRUE(quantize(real).identical(codes)) << name_of(type);
  }
}

TEST(DequantizeLinear, Int32IsExactBeforeTheScale) {
  // 2^24 + 1 is no float, but its difference from the zero point is.
  const Tensor y = OpCall("DequantizeLinear", 13)
                       .in(tensor<int32_t>({1}, {(1 << 24) + 1}))
                       .in(one(2.0F))
                       .in(one(int32_t{1 << 24}))
                       .output();
  EXPECT_EQ(values<float>(y), (std::vector<float>{2}));
}

TEST(DequantizeLinear, OutputTypeFollowsTheScaleOrTheAttribute) {
  const Tensor x = tensor<int8_t>({2}, {3, -3});
  const Tensor half = *cast(floats({}, {0.5F}), DType::kFloat16);
  EXPECT_EQ(OpCall("DequantizeLinear", 23).in(x).in(half).output().type(), DType::kFloat16);
  const Tensor wide =
      OpCall("DequantizeLinear", 23).in(x).in(half).attr("output_dtype", int64_t{1}).output();
  EXPECT_EQ(values<float>(wide), (std::vector<float>{1.5F, -1.5F}));
}

TEST(QuantizeLinear, RefusesScalesThatDoNotFit) {
  const Tensor x = floats({2, 4}, std::vector<float>(8, 1.0F));
  const auto quantize = [&](Tensor scale, int64_t axis, int64_t block) {
    return OpCall("QuantizeLinear", 21)
        .in(x)
        .in(std::move(scale))
        .attr("axis", axis)
        .attr("block_size", block)
        .error();
  };
  EXPECT_NE(quantize(floats({3}, {1, 1, 1}), 1, 0), "");
  EXPECT_NE(quantize(floats({2}, {1, 1}), 2, 0), "");
  EXPECT_NE(quantize(floats({2, 2}, {1, 1, 1, 1}), 1, 0), "");
  EXPECT_NE(quantize(floats({2, 2}, {1, 1, 1, 1}), 1, 1), "");
  EXPECT_NE(quantize(floats({2, 2}, {1, 1, 1, 1}), 1, -2), "");
  EXPECT_NE(quantize(floats({2, 1}, {1, 1}), 1, INT64_MAX), "");
  EXPECT_NE(
      OpCall("QuantizeLinear", 21).in(x).in(one(1.0F)).attr("output_dtype", int64_t{99}).error(),
      "");
  EXPECT_NE(OpCall("QuantizeLinear", 21)
                .in(x)
                .in(one(1.0F))
                .in(one(int8_t{0}))
                .attr("output_dtype", int64_t{2})
                .error(),
            "");
}

TEST(DynamicQuantizeLinear, RangeIncludesZero) {
  auto result = OpCall("DynamicQuantizeLinear", 11).in(floats({2}, {1, 2.55F})).outputs(3).run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(values<uint8_t>((*result)[0].tensor()), (std::vector<uint8_t>{100, 255}));
  EXPECT_FLOAT_EQ((*result)[1].tensor().data<float>()[0], 0.01F);
  auto zeros = OpCall("DynamicQuantizeLinear", 11).in(floats({2}, {0, 0})).outputs(3).run();
  EXPECT_EQ((*zeros)[1].tensor().data<float>()[0], 1);
}

TEST(MatMulInteger, ZeroPointsPerRowAndColumn) {
  const Tensor y = OpCall("MatMulInteger", 10)
                       .in(tensor<uint8_t>({2, 2}, {1, 2, 3, 4}))
                       .in(tensor<int8_t>({2, 2}, {1, 2, 3, 4}))
                       .in(tensor<uint8_t>({2}, {1, 3}))
                       .in(tensor<int8_t>({2}, {0, 4}))
                       .output();
  // [[0 1] [0 1]] [[1 -2] [3 0]]
  EXPECT_EQ(values<int32_t>(y), (std::vector<int32_t>{3, 0, 3, 0}));
}

TEST(QLinearMatMul, RefusesScalesThatDoNotFit) {
  const auto product = [](Tensor b_scale, Tensor b_zero) {
    return OpCall("QLinearMatMul", 21)
        .in(tensor<uint8_t>({1, 2}, {1, 2}))
        .in(one(1.0F))
        .in(one(uint8_t{0}))
        .in(tensor<uint8_t>({2, 2}, {1, 2, 3, 4}))
        .in(std::move(b_scale))
        .in(std::move(b_zero))
        .in(one(1.0F))
        .in(one(uint8_t{0}));
  };
  EXPECT_EQ(values<uint8_t>(product(floats({2}, {1, 2}), tensor<uint8_t>({2}, {0, 1})).output()),
            (std::vector<uint8_t>{7, 14}));
  EXPECT_NE(product(floats({3}, {1, 2, 3}), one(uint8_t{0})).error(), "");
  EXPECT_NE(product(floats({2}, {1, 2}), tensor<uint8_t>({3}, {0, 1, 2})).error(), "");
  EXPECT_NE(product(floats({2}, {1, 2}), one(int8_t{0})).error(), "");
}

}  // namespace
}  // namespace fewbit::ops
