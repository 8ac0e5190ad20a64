// Small floats against NumPy, ml_dtypes and the reference of the onnx package: the table below is
// the output of tests/interop/small_float_golden.py, which says what each line is made of and, with
// --check, compares it with those packages again.

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "numerics/bfloat16.h"
#include "numerics/float4.h"
#include "numerics/float8.h"
#include "numerics/half.h"

namespace fewbit {
namespace {

const std::map<std::string, std::string> kGolden = {
    {"float16", "45da9ab887fb626f487655a999ac10fd1974afe37f37e7cc36c8040a4c3df58e"},
    {"bfloat16", "b683c40ada60545bcc037eda8045871b6efa4b03427bc8965d8ccf8110f1535e"},
    {"float8e4m3fn saturate", "7a362d8bfa4a5c701291a8068b168b47bb37346e6c5013d9e6d9f6a5781728ab"},
    {"float8e4m3fn overflow", "4926e9e08893cad414be058ddd6f364e095176ad5a97ffa832053e3304fe846e"},
    {"float8e4m3fnuz saturate", "1882550541d8eaa6c6cc138c139f141e6e2d35d67f5d0ca20668568b4d6578e2"},
    {"float8e4m3fnuz overflow", "fbbecda0b181a894bed2a566c7b52cceeb7abd9eb3aaac6b380e65deebd9fd03"},
    {"float8e5m2 saturate", "9b853ac45346a400c16598def3e4a1d455a3b6a0474988c74ccc568b4c768c06"},
    {"float8e5m2 overflow", "d7bb2d9ef616f3838fc7d483ca1c72542e7f281a970110b3c5a0ba9a4c58caf0"},
    {"float8e5m2fnuz saturate", "9dabf4cf5e1cb3d901f4f256a0bb9491984eb69cdd1056b98ce417bcf5cad543"},
    {"float8e5m2fnuz overflow", "702240c586640eb0c8899d3d41c28f690ff63126222fea166e17d4dda213b829"},
    {"float4e2m1", "19e643b981e24425f4063a8c39ad210d33a465acec28216268cf2f55b96fcb33"},
    {"float8e8m0 up", "e67ac785c2de862528bf1b44b886ced93bd2c38e4a75d8b915249bbbfb2e8b3a"},
    {"float8e8m0 down", "736512d64b466bc109d27df9f44f02aa86e1fc0a8e9cb90e5fd2cd1af6be5f85"},
    {"float8e8m0 nearest", "9cc980f83b622fde8da9ae6edf246fe4cf7350565b08036b0f530e01e735e613"},
    {"float8e4m3fn values", "422eccfaa21e72a6b26855bb10cdcfead6c1ce3262ecd813c99d8cbf9677f2e2"},
    {"float8e4m3fnuz values", "ac4866f772a7c08077713fde1fa54131d49c26339c885e971a24fc0fac6e33f4"},
    {"float8e5m2 values", "229a94c5f728edf2259da970a0e1dfb45cc1d69cce2b30e37659f3212ec4b8b9"},
    {"float8e5m2fnuz values", "aac12d2730bf26ca53bfa107a7a6a8df192aba8cf58b971eec9126f83991e6d4"},
    {"float8e8m0fnu values", "2fb2732a956043772ccd2c1664ae5d2558c62f9c06780c04d95f1ff0050f2f2f"},
};

std::vector<float> inputs() {
  constexpr std::array<uint32_t, 6> kLow = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
  std::vector<float> values;
  for (uint32_t high = 0; high < 65536; ++high) {
    for (const uint32_t low : kLow) values.push_back(std::bit_cast<float>(high << 16 | low));
  }
  return values;
}

template <typename T, typename Convert>
void check(const std::string& name, const std::vector<float>& values, Convert convert) {
  std::vector<decltype(T::bits)> codes;
  for (const float x : values) {
    const T code = convert(x);
    const bool nan = std::isnan(code.to_float());
    codes.push_back(nan ? static_cast<decltype(T::bits)>(~0U) : code.bits);
  }
  EXPECT_EQ(sha256_hex(std::as_bytes(std::span(codes))), kGolden.at(name)) << name;
}

template <typename T>
void check_float8(const std::string& name) {
  check<T>(name + " saturate", inputs(), [](float x) { return T::from_float(x); });
  check<T>(name + " overflow", inputs(), [](float x) { return T::from_float(x, false); });
}

template <typename T>
void check_values(const std::string& name) {
  std::array<float, 256> values;
  for (size_t code = 0; code < 256; ++code) {
    const float value = T{static_cast<uint8_t>(code)}.to_float();
    values[code] = std::isnan(value) ? std::numeric_limits<float>::quiet_NaN() : value;
  }
  EXPECT_EQ(sha256_hex(std::as_bytes(std::span(values))), kGolden.at(name + " values")) << name;
}

TEST(SmallFloatGolden, SixteenBits) {
  check<Half>("float16", inputs(), Half::from_float);
  check<Bfloat16>("bfloat16", inputs(), Bfloat16::from_float);
}

TEST(SmallFloatGolden, EightBits) {
  check_float8<Float8E4M3FN>("float8e4m3fn");
  check_float8<Float8E4M3FNUZ>("float8e4m3fnuz");
  check_float8<Float8E5M2>("float8e5m2");
  check_float8<Float8E5M2FNUZ>("float8e5m2fnuz");
}

TEST(SmallFloatGolden, FourBits) {
  check<Float4E2M1>("float4e2m1", inputs(), Float4E2M1::from_float);
}

TEST(SmallFloatGolden, PowersOfTwo) {
  std::vector<float> normal;
  for (const float x : inputs()) {
    if (x > 0 && std::isnormal(x)) normal.push_back(x);
  }
  const auto check_mode = [&](const std::string& name, PowerRounding mode) {
    check<Float8E8M0>("float8e8m0 " + name, normal,
                      [mode](float x) { return Float8E8M0::from_float(x, true, mode); });
  };
  check_mode("up", PowerRounding::kUp);
  check_mode("down", PowerRounding::kDown);
  check_mode("nearest", PowerRounding::kNearest);
}

TEST(SmallFloatGolden, Values) {
  check_values<Float8E4M3FN>("float8e4m3fn");
  check_values<Float8E4M3FNUZ>("float8e4m3fnuz");
  check_values<Float8E5M2>("float8e5m2");
  check_values<Float8E5M2FNUZ>("float8e5m2fnuz");
  check_values<Float8E8M0>("float8e8m0fnu");
}

}  // namespace
}  // namespace fewbit
