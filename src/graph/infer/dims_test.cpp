#include "graph/infer/dims.h"

#include <gtest/gtest.h>

#include <limits>

#include "graph/infer/partial.h"

namespace fewbit::infer {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

TEST(Dims, FloorDivision) {
  EXPECT_EQ(floor_div(7, 2), 3);
  EXPECT_EQ(floor_div(-7, 2), -4);
  EXPECT_EQ(floor_div(7, -2), -4);
  EXPECT_EQ(floor_div(-8, -2), 4);
  EXPECT_EQ(floor_div(1, 0), std::nullopt);
  EXPECT_EQ(floor_div(kMin, -1), std::nullopt);
}

TEST(Dims, OverflowIsUnknown) {
  EXPECT_EQ(mul(Dim::of(kMax), Dim::of(2)), Dim{});
  EXPECT_EQ(add(Dim::of(kMax), Dim::of(1)), Dim{});
  EXPECT_FALSE(product_of(Shape{Dim::of(kMax), Dim::of(3)}).known);
}

TEST(Dims, NeutralElementsKeepSymbols) {
  Dim n = Dim::named("n");
  EXPECT_EQ(mul(n, Dim::of(1)), n);
  EXPECT_EQ(add(Dim::of(0), n), n);
  EXPECT_EQ(mul(n, Dim::of(0)), Dim::of(0));
  EXPECT_EQ(mul(n, Dim::of(2)), Dim{});
}

TEST(Dims, EqualSymbolsCancel) {
  Dim n = Dim::named("n");
  Dim m = Dim::named("m");
  Product total = product_of(Shape{n, m, Dim::of(12)});
  EXPECT_EQ(divide(total, product_of(Shape{Dim::of(12), m})), n);
  EXPECT_EQ(divide(total, product_of(Shape{n, m, Dim::of(4)})), Dim::of(3));
  EXPECT_EQ(divide(total, product_of(Shape{n})), Dim{});           // 12 m
  EXPECT_EQ(divide(total, product_of(Shape{Dim::of(5)})), Dim{});  // no whole number
  EXPECT_EQ(divide(total, product_of(Shape{Dim::named("k")})), Dim{});
  EXPECT_EQ(divide(total, product_of(Shape{Dim::of(0)})), Dim{});
}

TEST(Dims, Broadcasting) {
  Dim n = Dim::named("n");
  EXPECT_EQ(broadcast_dim(Dim::of(1), n), n);
  EXPECT_EQ(broadcast_dim(n, Dim::of(5)), Dim::of(5));
  EXPECT_EQ(broadcast_dim(n, Dim::named("m")), Dim{});
  EXPECT_EQ(broadcast_dim(Dim::of(0), Dim::of(1)), Dim::of(0));
  EXPECT_EQ(broadcast_dim(Dim::of(2), Dim::of(3)), std::nullopt);
}

TEST(Partial, HugeTensorsAreNotCarried) {
  EXPECT_EQ(carried_elements({2, 3}), 6);
  EXPECT_EQ(carried_elements({}), 1);
  EXPECT_EQ(carried_elements({kMaxPartialElements + 1}), std::nullopt);
  EXPECT_EQ(carried_elements({kMax, 0, kMax}), std::nullopt);
}

TEST(Partial, ReadsEveryNumberType) {
  auto first = [](const Tensor& t) { return partial_of(t)->elements.front(); };
  EXPECT_EQ(first(Tensor::scalar<int8_t>(-3)), PartialElement::of(-3));
  EXPECT_EQ(first(Tensor::scalar<uint16_t>(65535)), PartialElement::of(65535));
  EXPECT_EQ(first(Tensor::scalar(true)), PartialElement::of(1));
  EXPECT_EQ(first(Tensor::scalar(2.5F)), PartialElement::of_real(2.5));
  EXPECT_EQ(first(Tensor::scalar<uint64_t>(UINT64_MAX)), PartialElement{});
  Tensor half = Tensor::zeros(DType::kFloat16, {});
  half.data<uint16_t>()[0] = 0x4100;  // 2.5
  EXPECT_EQ(first(half), PartialElement::of_real(2.5));
  EXPECT_EQ(partial_of(Tensor::zeros(DType::kInt4, {2})), std::nullopt);
}

}  // namespace
}  // namespace fewbit::infer
