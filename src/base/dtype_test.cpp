#include "base/dtype.h"

#include <gtest/gtest.h>

#include <set>

namespace fewbit {
namespace {

TEST(DType, NamesAreUniqueAndRoundTrip) {
  std::set<std::string_view> names;
  for (int i = 1; i < kDTypeCount; ++i) {
    const auto type = static_cast<DType>(i);
    EXPECT_TRUE(names.insert(name_of(type)).second) << name_of(type);
    EXPECT_EQ(dtype_from_name(name_of(type)), type);
  }
  EXPECT_EQ(dtype_from_name("float"), DType::kFloat32);
  EXPECT_EQ(dtype_from_name("double"), DType::kFloat64);
  EXPECT_EQ(dtype_from_name("undefined"), std::nullopt);
  EXPECT_EQ(dtype_from_name("float31"), std::nullopt);
  EXPECT_EQ(name_of(static_cast<DType>(200)), "undefined");
}

TEST(DType, BitsAndBytes) {
  EXPECT_EQ(bits_of(DType::kComplex128), 128);
  EXPECT_EQ(bits_of(DType::kInt2), 2);
  EXPECT_EQ(bytes_of(DType::kFloat32, 3), 12);
  EXPECT_EQ(bytes_of(DType::kUint4, 3), 2);
  EXPECT_EQ(bytes_of(DType::kInt2, 5), 2);
  EXPECT_EQ(bytes_of(DType::kFloat4E2M1, 0), 0);
  EXPECT_EQ(bytes_of(DType::kString, 7), 0);
}

TEST(DType, Kinds) {
  EXPECT_TRUE(is_float(DType::kFloat8E8M0));
  EXPECT_FALSE(is_float(DType::kInt4));
  EXPECT_TRUE(is_integer(DType::kUint2));
  EXPECT_FALSE(is_integer(DType::kBool));
  EXPECT_TRUE(is_signed_integer(DType::kInt4));
  EXPECT_FALSE(is_signed_integer(DType::kUint64));
  EXPECT_FALSE(is_float(DType::kUndefined));
}

// The numbers are those of ONNX's TensorProto.DataType.
TEST(DType, NumbersAreOnnx) {
  EXPECT_EQ(static_cast<int>(DType::kFloat16), 10);
  EXPECT_EQ(static_cast<int>(DType::kBfloat16), 16);
  EXPECT_EQ(static_cast<int>(DType::kFloat8E5M2FNUZ), 20);
  EXPECT_EQ(static_cast<int>(DType::kInt2), 26);
}

}  // namespace
}  // namespace fewbit
