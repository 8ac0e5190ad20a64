#include "numerics/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "numerics/element_codec.h"

namespace fewbit {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr int32_t kMin32 = std::numeric_limits<int32_t>::min();

template <typename To, typename From>
std::vector<To> converted(const std::vector<From>& in, CastOptions options = {}) {
  const Tensor t = Tensor::from<From>({static_cast<int64_t>(in.size())}, in);
  Tensor out = *cast(t, DTypeOf<To>::value, options);
  return {out.span<To>().begin(), out.span<To>().end()};
}

/// The elements of a tensor of any type, as text: a way to compare that cast itself did not make.
std::vector<double> numbers(const Tensor& t) {
  const Tensor wide = *cast(t, DType::kFloat64);
  return {wide.span<double>().begin(), wide.span<double>().end()};
}

TEST(Cast, FloatToInteger) {
  EXPECT_EQ((converted<int32_t, float>({1.9F, -1.9F, 0.0F, kNan, kInfinity, -3e9F, 2147483520.0F})),
            (std::vector<int32_t>{1, -1, 0, kMin32, kMin32, kMin32, 2147483520}));
  EXPECT_EQ((converted<int8_t, float>({-128.5F, 127.9F, 200.0F, -1.0F})),
            (std::vector<int8_t>{-128, 127, -56, -1}));
  EXPECT_EQ((converted<uint8_t, float>({255.5F, 300.0F, -1.0F})),
            (std::vector<uint8_t>{255, 44, 255}));
  EXPECT_EQ((converted<uint32_t, float>({4e9F, -1.0F})),
            (std::vector<uint32_t>{4000000000U, 4294967295U}));
  EXPECT_EQ((converted<int64_t, double>({1e18, 1e19, -2.5})),
            (std::vector<int64_t>{1000000000000000000, std::numeric_limits<int64_t>::min(), -2}));
  EXPECT_EQ((converted<uint64_t, double>({1e19, -1.0})),
            (std::vector<uint64_t>{10000000000000000000U, std::numeric_limits<uint64_t>::max()}));
}

TEST(Cast, IntegerToIntegerKeepsTheLowBits) {
  EXPECT_EQ((converted<int8_t, int16_t>({200, -129})), (std::vector<int8_t>{-56, 127}));
  EXPECT_EQ((converted<uint64_t, int8_t>({-1})), (std::vector<uint64_t>{~uint64_t{0}}));
  EXPECT_EQ((converted<int64_t, uint64_t>({~uint64_t{0}})), (std::vector<int64_t>{-1}));
}

TEST(Cast, IntegerToFloatRoundsOnce) {
  EXPECT_EQ((converted<float, int64_t>({(int64_t{1} << 24) + 1, (int64_t{1} << 24) + 3})),
            (std::vector<float>{16777216.0F, 16777220.0F}));
  EXPECT_EQ((converted<Half, int32_t>({2049, 2051, 70000})),
            (std::vector<Half>{Half{0x6800}, Half{0x6802}, Half{0x7c00}}));
  EXPECT_EQ((converted<float, uint64_t>({~uint64_t{0}})), (std::vector<float>{0x1p64F}));
  // Just above halfway between two bfloat16: by way of a float it would tie, and go down.
  EXPECT_EQ((converted<Bfloat16, int64_t>({(int64_t{1} << 40) + (int64_t{1} << 32) + 1})),
            (std::vector<Bfloat16>{Bfloat16::from_float(0x1p40F + 0x1p33F)}));
}

TEST(Cast, DoubleToSmallFloatRoundsOnce) {
  EXPECT_EQ((converted<Half, double>({1 + 0x1p-11 + 0x1p-40})), (std::vector<Half>{Half{0x3c01}}));
  EXPECT_EQ((converted<Float8E4M3FN, double>({1 + 0x1p-4 + 0x1p-50, 1 + 0x1p-4})),
            (std::vector<Float8E4M3FN>{{0x39}, {0x38}}));
  EXPECT_EQ((converted<float, double>({1e300, -1e300})),
            (std::vector<float>{kInfinity, -kInfinity}));
}

TEST(Cast, Bool) {
  const Tensor in = Tensor::from<float>({4}, {0.0F, -0.0F, 0.1F, kNan});
  const Tensor out = *cast(in, DType::kBool);
  EXPECT_EQ(numbers(out), (std::vector<double>{0, 0, 1, 1}));
  EXPECT_EQ(numbers(*cast(out, DType::kInt4)), (std::vector<double>{0, 0, 1, 1}));
}

TEST(Cast, Saturate) {
  EXPECT_EQ((converted<Float8E5M2, float>({1e6F})), (std::vector<Float8E5M2>{{0x7b}}));
  EXPECT_EQ((converted<Float8E5M2, float>({1e6F}, {.saturate = false})),
            (std::vector<Float8E5M2>{{0x7c}}));
  EXPECT_EQ((converted<Float8E8M0, float>({3.0F}, {.power_rounding = PowerRounding::kDown})),
            (std::vector<Float8E8M0>{{128}}));
  EXPECT_EQ((converted<Float8E8M0, float>({2.5F})), (std::vector<Float8E8M0>{{129}}));
}

TEST(Cast, PackedTypes) {
  const Tensor in = Tensor::from<float>({5}, {-9, -8, 7, 8, 15});
  const Tensor int4 = *cast(in, DType::kInt4);
  EXPECT_EQ(int4.bytes(), 3);
  EXPECT_EQ(numbers(int4), (std::vector<double>{7, -8, 7, -8, -1}));
  EXPECT_EQ(int4.data<uint8_t>()[2] >> 4, 0);
  EXPECT_EQ(numbers(*cast(in, DType::kUint4)), (std::vector<double>{7, 8, 7, 8, 15}));
  EXPECT_EQ(numbers(*cast(in, DType::kUint2)), (std::vector<double>{3, 0, 3, 0, 3}));
  EXPECT_EQ(numbers(*cast(in, DType::kInt2)), (std::vector<double>{-1, 0, -1, 0, -1}));
  EXPECT_EQ(numbers(*cast(in, DType::kFloat4E2M1)), (std::vector<double>{-6, -6, 6, 6, 6}));
}

/// All types that are numbers.
std::vector<DType> number_types() {
  std::vector<DType> types;
  for (int i = 1; i < kDTypeCount; ++i) {
    const auto type = static_cast<DType>(i);
    if (can_cast(type) && type != DType::kString) types.push_back(type);
  }
  return types;
}

TEST(Cast, EveryPairKeepsWhatBothHold) {
  EXPECT_EQ(number_types().size(), 23U);
  // Over a chunk, and not a whole number of bytes of any packed type; 1 is in every type.
  const std::vector<uint8_t> ones(2051, 1);
  const Tensor source = Tensor::from<uint8_t>({7, 293}, ones);
  for (const DType from : number_types()) {
    const Tensor middle = *cast(source, from);
    ASSERT_EQ(middle.dims(), source.dims());
    for (const DType to : number_types()) {
      const Tensor out = *cast(middle, to);
      ASSERT_EQ(out.type(), to);
      ASSERT_TRUE(cast(out, DType::kUint8)->identical(source))
          << name_of(from) << " " << name_of(to);
    }
  }
}

TEST(Cast, LargeTensorsOnAllThreads) {
  Random random(3);
  std::vector<float> values(300001);
  random.fill_normal(values, 0, 100);
  const Tensor in = Tensor::from<float>({300001}, values);
  const Tensor half = *cast(in, DType::kFloat16);
  const Tensor int4 = *cast(in, DType::kInt4);
  const Tensor fp8 = *cast(in, DType::kFloat8E4M3FN);
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(half.data<Half>()[i], Half::from_float(values[i]));
    ASSERT_EQ(fp8.data<Float8E4M3FN>()[i], Float8E4M3FN::from_float(values[i]));
    ASSERT_EQ(packed_code<4>(int4.data<uint8_t>(), i), static_cast<int>(values[i]) & 15);
  }
}

TEST(Cast, NumbersToStrings) {
  const auto texts = [](const Tensor& t) {
    const Tensor out = *cast(t, DType::kString);
    return std::vector<std::string>(out.strings().begin(), out.strings().end());
  };
  EXPECT_EQ(texts(Tensor::from<float>({5}, {314.15926F, 0.1F, -kInfinity, kInfinity, kNan})),
            (std::vector<std::string>{"314.15927", "0.1", "-INF", "INF", "NaN"}));
  EXPECT_EQ(texts(Tensor::from<double>({1}, {0.1})), (std::vector<std::string>{"0.1"}));
  EXPECT_EQ(texts(Tensor::from<int8_t>({1}, {-7})), (std::vector<std::string>{"-7"}));
  EXPECT_EQ(texts(Tensor::from<uint64_t>({1}, {~uint64_t{0}})),
            (std::vector<std::string>{"18446744073709551615"}));
}

TEST(Cast, StringsToNumbers) {
  const Tensor in = Tensor::strings({6}, {"3.14", " 1e-5", "1E8 ", "+INF", "-inf", "nan"});
  const Tensor out = *cast(in, DType::kFloat32);
  const auto values = out.span<float>();
  EXPECT_EQ(values[0], 3.14F);
  EXPECT_EQ(values[1], 1e-5F);
  EXPECT_EQ(values[2], 1e8F);
  EXPECT_EQ(values[3], kInfinity);
  EXPECT_EQ(values[4], -kInfinity);
  EXPECT_TRUE(std::isnan(values[5]));
  EXPECT_EQ(
      numbers(*cast(Tensor::strings({3}, {"100.5", "-9223372036854775808", "+7"}), DType::kInt64)),
      (std::vector<double>{100, -0x1p63, 7}));
  EXPECT_EQ(numbers(*cast(Tensor::strings({2}, {"1e400", "1e-400"}), DType::kFloat64)),
            (std::vector<double>{kInfinity, 0}));
  EXPECT_EQ(numbers(*cast(Tensor::strings({1}, {"0.1"}), DType::kFloat16)),
            (std::vector<double>{0.0999755859375}));
  const auto bad = cast(Tensor::strings({2}, {"1", "Hello"}), DType::kFloat32);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().message(),
            "cannot convert the string 'Hello' (element 1) to float32: not a number");
  EXPECT_FALSE(cast(Tensor::strings({1}, {""}), DType::kInt32).ok());
}

TEST(Cast, EdgesOfTheInterface) {
  const Tensor empty = Tensor::zeros(DType::kFloat32, {0, 3});
  EXPECT_EQ(cast(empty, DType::kInt4)->dims(), (Dims{0, 3}));
  const Tensor scalar = Tensor::scalar(2.5F);
  EXPECT_EQ(cast(scalar, DType::kInt8)->data<int8_t>()[0], 2);
  EXPECT_EQ(cast(scalar, DType::kFloat32)->raw(), scalar.raw());
  const auto complex = cast(scalar, DType::kComplex64);
  ASSERT_FALSE(complex.ok());
  EXPECT_EQ(complex.error().message(), "cannot convert from float32 to complex64");
  EXPECT_FALSE(cast(scalar, static_cast<DType>(99)).ok());
  Tensor out = Tensor::uninitialized(DType::kFloat32, {1});
  EXPECT_TRUE(cast_into(scalar, out).ok());
  EXPECT_EQ(out.data<float>()[0], 2.5F);
}

}  // namespace
}  // namespace fewbit
