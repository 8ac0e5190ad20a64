#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace fewbit {
namespace {

Result<int> half(int x) {
  if (x % 2 != 0) return bad_input("{} is odd", x);
  return x / 2;
}

Result<int> quarter(int x) {
  FEWBIT_ASSIGN(const int h, half(x));
  FEWBIT_ASSIGN(const int q, half(h));
  return q;
}

Status check_quarter(int x) {
  FEWBIT_TRY(quarter(x));
  FEWBIT_TRY(Status());
  return {};
}

Result<std::unique_ptr<int>> boxed(int x) {
  if (x < 0) return bad_input("{} is negative", x);
  return std::make_unique<int>(x);
}

TEST(Result, ValueOrError) {
  const Result<int> good = half(4);
  ASSERT_TRUE(good.ok());
  EXPECT_TRUE(static_cast<bool>(good));
  EXPECT_EQ(*good, 2);
  const Result<int> bad = half(3);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().kind(), ErrorKind::kBadInput);
  EXPECT_EQ(bad.error().message(), "3 is odd");
}

TEST(Result, MacrosPassTheErrorOn) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error().message(), "3 is odd");
  EXPECT_TRUE(check_quarter(8).ok());
  EXPECT_EQ(check_quarter(7).error().message(), "7 is odd");
}

TEST(Result, KindsAndContext) {
  EXPECT_EQ(misuse("x").kind(), ErrorKind::kMisuse);
  EXPECT_EQ(unsupported("x").kind(), ErrorKind::kUnsupported);
  EXPECT_EQ(io_error("x").kind(), ErrorKind::kIo);
  const Error error = io_error("disk {}", 1).with_context("model.onnx");
  EXPECT_EQ(error.message(), "model.onnx: disk 1");
  EXPECT_EQ(error.kind(), ErrorKind::kIo);
}

TEST(Result, MoveOnlyValues) {
  Result<std::unique_ptr<int>> result = boxed(3);
  EXPECT_EQ(**result, 3);
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 3);
  EXPECT_FALSE(boxed(-1).ok());
}

TEST(ResultDeathTest, ValueOfAnErrorIsABug) {
  EXPECT_DEATH((void)half(3).value(), "3 is odd");
}

TEST(CheckDeathTest, PrintsConditionAndOperands) {
  const int x = 3;
  EXPECT_DEATH(FEWBIT_CHECK(x < 2, x, "two"), "broken invariant: x < 2 \\[3\\] \\[two\\]");
  FEWBIT_CHECK(x == 3);
}

}  // namespace
}  // namespace fewbit
