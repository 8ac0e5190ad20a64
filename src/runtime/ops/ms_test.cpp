#include <gtest/gtest.h>

#include <cmath>

#include "runtime/ops/op_test_support.h"

namespace fewbit::ops {
namespace {

using Ints = std::vector<int64_t>;
constexpr const char* kDomain = "com.microsoft";

Tensor f1(float v) {
  return Tensor::scalar(v);
}
Tensor u8(uint8_t v) {
  return Tensor::scalar(v);
}

TEST(QLinearAdd, AddsRealValues) {
  const Tensor y = OpCall("QLinearAdd", 1, kDomain)
                       .in(tensor<uint8_t>({2}, {10, 20}))
                       .in(f1(0.5F))
                       .in(u8(10))
                       .in(tensor<uint8_t>({1}, {4}))
                       .in(f1(2))
                       .in(u8(3))
                       .in(f1(1))
                       .in(u8(100))
                       .output();
  EXPECT_EQ(values<uint8_t>(y), (std::vector<uint8_t>{102, 107}));
}

TEST(QLinearConcat, BringsAllPartsToOneScale) {
  const Tensor y = OpCall("QLinearConcat", 1, kDomain)
                       .in(f1(1))
                       .in(u8(0))
                       .in(tensor<uint8_t>({1, 1}, {6}))
                       .in(f1(0.5F))
                       .in(u8(0))
                       .in(tensor<uint8_t>({1, 1}, {6}))
                       .in(f1(2))
                       .in(u8(1))
                       .attr("axis", int64_t{1})
                       .output();
  EXPECT_EQ(values<uint8_t>(y), (std::vector<uint8_t>{3, 10}));
}

TEST(QLinearGlobalAveragePool, WorksOnBothLayouts) {
  const auto pool = [](Dims dims, int64_t last) {
    const Tensor y = OpCall("QLinearGlobalAveragePool", 1, kDomain)
                         .in(tensor<uint8_t>(std::move(dims), {1, 10, 3, 30}))
                         .in(f1(1))
                         .in(u8(0))
                         .in(f1(0.5F))
                         .in(u8(1))
                         .attr("channels_last", last)
                         .output();
    return std::pair{y.dims(), values<uint8_t>(y)};
  };
  EXPECT_EQ(pool({1, 1, 2, 2}, 0), (std::pair{Dims{1, 1, 1, 1}, std::vector<uint8_t>{23}}));
  EXPECT_EQ(pool({1, 2, 1, 2}, 1), (std::pair{Dims{1, 1, 1, 2}, std::vector<uint8_t>{5, 41}}));
}

TEST(QGemm, IsRealWithoutAnOutputScale) {
  const auto gemm = [] {
    return OpCall("QGemm", 1, kDomain)
        .in(tensor<uint8_t>({1, 2}, {3, 4}))
        .in(f1(0.5F))
        .in(u8(1))
        .in(tensor<uint8_t>({2, 2}, {1, 2, 3, 4}))
        .in(floats({2}, {1, 10}))
        .in(u8(0))
        .in(tensor<int32_t>({2}, {1, -1}))
        .attr("transB", int64_t{1});
  };
  // sums: 2 * 1 + 3 * 2 + 1 = 9 and 2 * 3 + 3 * 4 - 1 = 17
  EXPECT_EQ(values<float>(gemm().output()), (std::vector<float>{4.5F, 85}));
  EXPECT_EQ(values<uint8_t>(gemm().in(f1(1)).in(u8(2)).output()), (std::vector<uint8_t>{6, 87}));
}

TEST(MatMulNBits, DecodesEveryWidth) {
  for (const int64_t bits : {2, 4, 8}) {
    const int64_t blob = 16 * bits / 8, half = int64_t{1} << (bits - 1);
    // One row whose codes are all half + 1 but the first, which is 0: weights -half, 1, 1, ...
    std::vector<uint8_t> b(static_cast<size_t>(blob));
    for (int64_t i = 1; i < 16; ++i) {
      const auto byte = static_cast<size_t>(i * bits / 8);
      b[byte] = static_cast<uint8_t>(b[byte] | ((half + 1) << (i * bits % 8)));
    }
    std::vector<float> x(16, 1.0F);
    const Tensor y = OpCall("MatMulNBits", 1, kDomain)
                         .in(floats({1, 16}, x))
                         .in(tensor<uint8_t>({1, 1, blob}, b))
                         .in(floats({1, 1}, {2}))
                         .attr("K", int64_t{16})
                         .attr("N", int64_t{1})
                         .attr("bits", bits)
                         .attr("block_size", int64_t{16})
                         .output();
    EXPECT_EQ(values<float>(y), (std::vector<float>{2 * (15 - static_cast<float>(half))})) << bits;
  }
}

TEST(MatMulNBits, RefusesWhatDoesNotFit) {
  const auto call = [](int64_t k, int64_t block, Dims b) {
    const auto bytes = static_cast<size_t>(elements_of(b));
    return OpCall("MatMulNBits", 1, kDomain)
        .in(floats({1, 32}, std::vector<float>(32, 1.0F)))
        .in(tensor<uint8_t>(std::move(b), std::vector<uint8_t>(bytes)))
        .in(floats({2}, {1, 1}))
        .attr("K", k)
        .attr("N", int64_t{1})
        .attr("block_size", block)
        .attr("bits", int64_t{4});
  };
  EXPECT_EQ(call(32, 16, {1, 2, 8}).output().elements(), 1);
  EXPECT_NE(call(32, 16, {1, 2, 7}).error(), "");
  EXPECT_NE(call(32, 24, {1, 2, 8}).error(), "");
  EXPECT_NE(call(33, 16, {1, 3, 8}).error(), "");
  EXPECT_NE(call(INT64_MAX, 16, {1, 2, 8}).error(), "");
  EXPECT_NE(
      call(32, 16, {1, 2, 8}).none().in(tensor<int32_t>({32}, std::vector<int32_t>(32, 5))).error(),
      "");
}

TEST(FusedConv, ActivatesAfterTheResidual) {
  const Tensor y = OpCall("FusedConv", 1, kDomain)
                       .in(floats({1, 1, 2}, {1, -9}))
                       .in(floats({1, 1, 1}, {2}))
                       .none()
                       .in(floats({1, 1, 2}, {10, 10}))
                       .attr("activation", std::string("LeakyRelu"))
                       .attr("activation_params", std::vector<float>{0.5F})
                       .output();
  EXPECT_EQ(values<float>(y), (std::vector<float>{12, -4}));
  EXPECT_NE(OpCall("FusedConv", 1, kDomain)
                .in(floats({1, 1, 2}, {1, -9}))
                .in(floats({1, 1, 1}, {2}))
                .attr("activation", std::string("Cosine"))
                .error(),
            "");
}

TEST(FusedMatMul, TransposesAndScales) {
  const Tensor y = OpCall("FusedMatMul", 1, kDomain)
                       .in(floats({2, 1}, {1, 2}))
                       .in(floats({1, 2}, {3, 4}))
                       .attr("transA", int64_t{1})
                       .attr("transB", int64_t{1})
                       .attr("alpha", 0.5F)
                       .output();
  EXPECT_EQ(values<float>(y), (std::vector<float>{5.5F}));
}

TEST(SkipLayerNormalization, GivesTheSumToo) {
  auto result = OpCall("SkipLayerNormalization", 1, kDomain)
                    .in(floats({1, 1, 2}, {1, 2}))
                    .in(floats({1, 1, 2}, {0, 1}))
                    .in(floats({2}, {1, 1}))
                    .in(floats({2}, {0, 5}))
                    .in(floats({2}, {1, 1}))
                    .attr("epsilon", 0.0F)
                    .outputs(4)
                    .run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(values<float>((*result)[0].tensor()), (std::vector<float>{-1, 6}));
  EXPECT_EQ(values<float>((*result)[3].tensor()), (std::vector<float>{2, 4}));
}

TEST(Gelu, AllForms) {
  const Tensor x = floats({1, 1}, {1});
  EXPECT_NEAR(OpCall("Gelu", 1, kDomain).in(x).output().data<float>()[0], 0.8413447461, 1e-7);
  EXPECT_NEAR(OpCall("FastGelu", 1, kDomain).in(x).output().data<float>()[0], 0.8411919906, 1e-7);
  EXPECT_NEAR(OpCall("QuickGelu", 1, kDomain).in(x).output().data<float>()[0],
              1 / (1 + std::exp(-1.702)), 1e-7);
  EXPECT_NEAR(OpCall("BiasGelu", 1, kDomain).in(x).in(floats({1}, {-1})).output().data<float>()[0],
              0, 1e-7);
}

}  // namespace
}  // namespace fewbit::ops
