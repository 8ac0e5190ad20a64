#include "base/tensor.h"

#include <gtest/gtest.h>

#include <limits>

namespace fewbit {
namespace {

TEST(Tensor, FromAndSpan) {
  Tensor t = Tensor::from<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(t.type(), DType::kFloat32);
  EXPECT_EQ(t.rank(), 2);
  EXPECT_EQ(t.dim(1), 3);
  EXPECT_EQ(t.elements(), 6);
  EXPECT_EQ(t.bytes(), 24);
  EXPECT_EQ(t.span<float>()[4], 5);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(t.raw()) % kTensorAlignment, 0U);
}

TEST(Tensor, CopiesShareAndClonesDoNot) {
  Tensor t = Tensor::zeros(DType::kInt32, {4});
  Tensor shared = t;
  const Tensor cloned = t.clone();
  t.data<int32_t>()[2] = 7;
  EXPECT_EQ(shared.data<int32_t>()[2], 7);
  EXPECT_EQ(cloned.data<int32_t>()[2], 0);
  EXPECT_TRUE(t.identical(shared));
  EXPECT_FALSE(t.identical(cloned));
}

TEST(Tensor, ScalarsAndEmptyOnes) {
  const Tensor scalar = Tensor::scalar<int64_t>(5);
  EXPECT_EQ(scalar.rank(), 0);
  EXPECT_EQ(scalar.elements(), 1);
  const Tensor empty = Tensor::zeros(DType::kFloat32, {3, 0, 2});
  EXPECT_EQ(empty.elements(), 0);
  EXPECT_TRUE(empty.identical(empty.clone()));
  EXPECT_FALSE(Tensor().defined());
  EXPECT_FALSE(Tensor().clone().defined());
}

TEST(Tensor, ReshapeSharesBytes) {
  Tensor t = Tensor::from<uint8_t>({6}, {0, 1, 2, 3, 4, 5});
  const Tensor r = t.reshaped({3, 2});
  EXPECT_EQ(r.raw(), t.raw());
  EXPECT_EQ(r.dim(0), 3);
  EXPECT_FALSE(r.identical(t));
}

TEST(Tensor, ViewKeepsItsOwnerAlive) {
  auto owner = std::make_shared<std::vector<float>>(3, 2.0F);
  const std::weak_ptr<std::vector<float>> watch = owner;
  Tensor t = Tensor::view(DType::kFloat32, {3}, owner->data(), owner);
  owner.reset();
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(t.span<float>()[2], 2.0F);
  t = Tensor();
  EXPECT_TRUE(watch.expired());
}

TEST(Tensor, NotANumberIsIdenticalToItself) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(Tensor::scalar(nan).identical(Tensor::scalar(nan)));
  EXPECT_FALSE(Tensor::scalar(0.0F).identical(Tensor::scalar(-0.0F)));
}

TEST(Tensor, Strings) {
  const Tensor t = Tensor::strings({2}, {"a", "bc"});
  EXPECT_EQ(t.strings()[1], "bc");
  EXPECT_EQ(t.bytes(), 0);
  EXPECT_TRUE(t.identical(t.clone()));
  EXPECT_FALSE(t.identical(Tensor::strings({2}, {"a", "b"})));
}

TEST(Tensor, ShapesFromFilesAreChecked) {
  EXPECT_EQ(*checked_elements(Dims{2, 3}, DType::kFloat32), 6);
  EXPECT_EQ(*checked_elements(Dims{}, DType::kFloat32), 1);
  EXPECT_FALSE(checked_elements(Dims{-1, 3}, DType::kFloat32).ok());
  EXPECT_FALSE(checked_elements(Dims{int64_t{1} << 40, int64_t{1} << 40}, DType::kInt4).ok());
  EXPECT_FALSE(checked_elements(Dims{std::numeric_limits<int64_t>::max()}, DType::kFloat32).ok());
  // Empty, but its strides would overflow: a file with such a shape is refused.
  EXPECT_FALSE(checked_elements(Dims{int64_t{1} << 40, int64_t{1} << 40, 0}, DType::kInt4).ok());
  EXPECT_EQ(*checked_elements(Dims{int64_t{1} << 40, 0}, DType::kFloat32), 0);
  // A zero anywhere makes it empty, however large the others are.
  EXPECT_EQ(Tensor::zeros(DType::kFloat32, {int64_t{1} << 40, int64_t{1} << 40, 0}).elements(), 0);
  EXPECT_FALSE(checked_elements(Dims{0, -1}, DType::kFloat32).ok());
}

TEST(TensorDeathTest, WrongCountIsABug) {
  EXPECT_DEATH(Tensor::from<float>({2}, {1, 2, 3}), "broken invariant");
  EXPECT_DEATH((void)Tensor::zeros(DType::kFloat32, {2}).reshaped({3}), "broken invariant");
}

}  // namespace
}  // namespace fewbit
