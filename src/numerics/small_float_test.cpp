#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"
#include "numerics/bfloat16.h"
#include "numerics/float4.h"
#include "numerics/float8.h"
#include "numerics/half.h"

namespace fewbit {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Every value v >= 0 of a format in rising order, with its code (without sign).
struct Value {
  double value;
  uint32_t code;
};

/// Rounds by looking for the nearest value, ties to the even code: the definition itself.
uint32_t nearest_code(const std::vector<Value>& values, double x) {
  size_t best = 0;
  for (size_t i = 1; i < values.size(); ++i) {
    const double old_distance = std::abs(values[best].value - x);
    const double distance = std::abs(values[i].value - x);
    if (distance < old_distance ||
        (distance == old_distance && values[i].code % 2 == 0 && values[best].code % 2 == 1)) {
      best = i;
    }
  }
  return values[best].code;
}

template <typename T>
std::vector<Value> values_of(uint32_t largest) {
  std::vector<Value> values;
  for (uint32_t code = 0; code <= largest; ++code) {
    values.push_back({T{static_cast<decltype(T::bits)>(code)}.to_float(), code});
  }
  return values;
}

/// At, just below and just above every value and every midpoint of the format.
template <typename T>
void check_rounding(uint32_t largest, uint32_t sign) {
  const std::vector<Value> values = values_of<T>(largest);
  for (size_t i = 0; i + 1 < values.size(); ++i) {
    ASSERT_LT(values[i].value, values[i + 1].value) << "codes must rise with their values";
    const double middle = (values[i].value + values[i + 1].value) / 2;
    for (const double center : {values[i].value, middle}) {
      const auto exact = static_cast<float>(center);
      ASSERT_EQ(static_cast<double>(exact), center);
      for (const float x : {std::nextafter(exact, 0.0F), exact, std::nextafter(exact, kInfinity)}) {
        const uint32_t expected = nearest_code(values, x);
        ASSERT_EQ(T::from_float(x).bits, expected) << x;
        if (expected == 0) continue;  // the sign of zero: see the specials
        ASSERT_EQ(T::from_float(-x).bits, expected | sign) << -x;
      }
    }
  }
}

TEST(SmallFloat, EveryFloat8RoundsToTheNearest) {
  check_rounding<Float8E4M3FN>(0x7e, 0x80);
  check_rounding<Float8E4M3FNUZ>(0x7f, 0x80);
  check_rounding<Float8E5M2>(0x7b, 0x80);
  check_rounding<Float8E5M2FNUZ>(0x7f, 0x80);
  check_rounding<Float4E2M1>(7, 8);
}

TEST(SmallFloat, EveryHalfRoundsToTheNearest) {
  // The exhaustive search of check_rounding would take minutes for 31744 values: their neighbours
  // are enough, because the values rise.
  const std::vector<Value> values = values_of<Half>(0x7bff);
  for (size_t i = 0; i + 1 < values.size(); ++i) {
    ASSERT_LT(values[i].value, values[i + 1].value);
    const auto low = static_cast<float>(values[i].value);
    const auto middle = static_cast<float>((values[i].value + values[i + 1].value) / 2);
    const auto code = static_cast<uint16_t>(i);
    ASSERT_EQ(Half::from_float(low).bits, code);
    ASSERT_EQ(Half::from_float(std::nextafter(middle, 0.0F)).bits, code);
    ASSERT_EQ(Half::from_float(middle).bits, code + code % 2);
    ASSERT_EQ(Half::from_float(std::nextafter(middle, kInfinity)).bits, code + 1);
    ASSERT_EQ(Half::from_float(-low).bits, code | 0x8000);
  }
}

TEST(SmallFloat, HalfAtItsEnds) {
  EXPECT_EQ(Half::from_float(65504).bits, 0x7bff);
  EXPECT_EQ(Half::from_float(std::nextafter(65520.0F, 0.0F)).bits, 0x7bff);
  EXPECT_EQ(Half::from_float(65520).bits, 0x7c00);
  EXPECT_EQ(Half::from_float(-kInfinity).bits, 0xfc00);
  EXPECT_EQ(Half::from_float(-0.0F).bits, 0x8000);
  EXPECT_EQ(Half::from_float(0x1p-25F).bits, 0);
  EXPECT_EQ(Half::from_float(std::nextafter(0x1p-25F, 1.0F)).bits, 1);
  EXPECT_EQ(Half{1}.to_float(), 0x1p-24F);
  EXPECT_EQ(Half{0xfc00}.to_float(), -kInfinity);
  EXPECT_TRUE(std::isnan(Half::from_float(kNan).to_float()));
  EXPECT_TRUE(std::isnan(Half{0x7c01}.to_float()));
}

TEST(SmallFloat, EveryBfloat16) {
  for (uint32_t code = 0; code < 0x7f80; ++code) {
    const Bfloat16 low{static_cast<uint16_t>(code)};
    const auto middle = std::bit_cast<float>(code << 16 | 0x8000);
    ASSERT_EQ(Bfloat16::from_float(low.to_float()), low);
    ASSERT_EQ(Bfloat16::from_float(middle).bits, code + code % 2);
    ASSERT_EQ(Bfloat16::from_float(std::nextafter(middle, kInfinity)).bits, code + 1);
    ASSERT_EQ(Bfloat16::from_float(-std::nextafter(middle, 0.0F)).bits, code | 0x8000);
  }
  EXPECT_EQ(Bfloat16::from_float(kInfinity).bits, 0x7f80);
  EXPECT_EQ(Bfloat16::from_float(std::numeric_limits<float>::max()).bits, 0x7f80);
  // A NaN whose payload is all in the lower half must stay one.
  EXPECT_EQ(Bfloat16::from_float(std::bit_cast<float>(0xff800001)).bits, 0xffc0);
}

// The tables in the text of ONNX's Cast operator.
template <typename T>
void check_specials(const std::array<uint8_t, 5>& saturated,
                    const std::array<uint8_t, 5>& not_saturated) {
  constexpr std::array<float, 5> kInputs = {-0.0F, kInfinity, -kInfinity, 1e6F, -1e6F};
  for (size_t i = 0; i < kInputs.size(); ++i) {
    EXPECT_EQ(T::from_float(kInputs[i]).bits, saturated[i]) << kInputs[i];
    EXPECT_EQ(T::from_float(kInputs[i], false).bits, not_saturated[i]) << kInputs[i];
  }
  EXPECT_TRUE(std::isnan(T::from_float(kNan).to_float()));
  EXPECT_TRUE(std::isnan(T::from_float(-kNan, false).to_float()));
}

TEST(SmallFloat, Float8Specials) {
  check_specials<Float8E4M3FN>({0x80, 0x7e, 0xfe, 0x7e, 0xfe}, {0x80, 0x7f, 0xff, 0x7f, 0xff});
  check_specials<Float8E4M3FNUZ>({0, 0x7f, 0xff, 0x7f, 0xff}, {0, 0x80, 0x80, 0x80, 0x80});
  check_specials<Float8E5M2>({0x80, 0x7b, 0xfb, 0x7b, 0xfb}, {0x80, 0x7c, 0xfc, 0x7c, 0xfc});
  check_specials<Float8E5M2FNUZ>({0, 0x7f, 0xff, 0x7f, 0xff}, {0, 0x80, 0x80, 0x80, 0x80});
  EXPECT_EQ(Float8E4M3FN{0x7e}.to_float(), 448);
  EXPECT_EQ(Float8E4M3FNUZ{0x7f}.to_float(), 240);
  EXPECT_EQ(Float8E5M2{0x7b}.to_float(), 57344);
  EXPECT_EQ(Float8E5M2{0xfc}.to_float(), -kInfinity);
  EXPECT_EQ(Float8E5M2FNUZ{0x7f}.to_float(), 57344);
  // Halfway to the code past the largest: the even one of the two is the largest in e4m3fn only.
  EXPECT_EQ(Float8E4M3FN::from_float(464, false).bits, 0x7e);
  EXPECT_EQ(Float8E5M2::from_float(61440, false).bits, 0x7c);
  EXPECT_EQ(Float8E4M3FNUZ::from_float(248, false).bits, 0x80);
}

TEST(SmallFloat, PowersOfTwo) {
  using enum PowerRounding;
  const auto code = [](float x, bool saturate, PowerRounding rounding) {
    return Float8E8M0::from_float(x, saturate, rounding).bits;
  };
  for (uint32_t bits = 0; bits < 255; ++bits) {
    const float value = Float8E8M0{static_cast<uint8_t>(bits)}.to_float();
    ASSERT_EQ(value, std::ldexp(1.0F, static_cast<int>(bits) - 127));
    const auto next = static_cast<uint8_t>(std::min(bits + 1, 254U));
    for (const PowerRounding rounding : {kUp, kDown, kNearest})
      ASSERT_EQ(code(value, true, rounding), bits);
    ASSERT_EQ(code(std::nextafter(value, kInfinity), true, kUp), next);
    ASSERT_EQ(code(std::nextafter(value, kInfinity), true, kDown), bits);
    ASSERT_EQ(code(value * 1.5F, true, kNearest), next);
    ASSERT_EQ(code(std::nextafter(value * 1.5F, 0.0F), true, kNearest), bits);
  }
  EXPECT_EQ(code(0, true, kUp), 0);
  EXPECT_EQ(code(0, false, kNearest), 0xff);
  EXPECT_EQ(code(kInfinity, true, kUp), 0xfe);
  EXPECT_EQ(code(kInfinity, false, kNearest), 0xff);
  EXPECT_EQ(code(3e38F, false, kNearest), 0xff);
  EXPECT_EQ(code(0x1p-128F, true, kUp), 0);
  EXPECT_EQ(code(0x1p-128F, false, kUp), 0xff);
  EXPECT_EQ(code(kNan, true, kUp), 0xff);
  EXPECT_EQ(code(-1, true, kUp), 0xff);
  EXPECT_TRUE(std::isnan(Float8E8M0{0xff}.to_float()));
}

TEST(SmallFloat, Float4Specials) {
  EXPECT_EQ(Float4E2M1::from_float(kInfinity).bits, 7);
  EXPECT_EQ(Float4E2M1::from_float(-1e9F).bits, 15);
  EXPECT_EQ(Float4E2M1::from_float(-0.0F).bits, 8);
  EXPECT_EQ(Float4E2M1::from_float(0.25F).bits, 0);
  EXPECT_EQ(Float4E2M1::from_float(5.0F).bits, 6);
  EXPECT_EQ(Float4E2M1::from_float(kNan).to_float(), 0);
}

TEST(SmallFloat, RoundToOddMakesTwoRoundingsOne) {
  // 1 + 2^-11 is halfway between two halves; what lies 2^-40 above it must round up.
  const double x = 1 + 0x1p-11 + 0x1p-40;
  EXPECT_EQ(Half::from_float(static_cast<float>(x)).bits, 0x3c00);  // two roundings: wrong
  EXPECT_EQ(Half::from_float(round_to_odd(x)).bits, 0x3c01);
  EXPECT_EQ(round_to_odd(0.3), std::nextafter(0.3F, 0.0F));
  EXPECT_EQ(round_to_odd(1e300), std::numeric_limits<float>::max());
  EXPECT_EQ(round_to_odd(-kInfinity), -kInfinity);
  const int64_t big = (int64_t{1} << 62) + 1;
  EXPECT_EQ(round_to_odd(big), std::nextafter(0x1p62F, kInfinity));
  EXPECT_EQ(round_to_odd(-big), -std::nextafter(0x1p62F, kInfinity));
  EXPECT_EQ(round_to_odd(uint64_t{12345}), 12345.0F);
  EXPECT_EQ(round_to_odd(std::numeric_limits<int64_t>::min()), -0x1p63F);
}

/// Bits of every kind: all exponents, and the specials.
std::vector<float> some_floats() {
  Random random(11);
  std::vector<float> values(100003);
  for (float& x : values) x = std::bit_cast<float>(static_cast<uint32_t>(random.next()));
  for (size_t i = 0; i < 1000; ++i) values[i * 97] = static_cast<float>(random.normal());
  return values;
}

TEST(SmallFloat, AllWaysToConvertHalfAgree) {
  const std::vector<float> in = some_floats();
  std::vector<Half> all_codes(65536);
  for (size_t i = 0; i < all_codes.size(); ++i) all_codes[i].bits = static_cast<uint16_t>(i);
  for (const auto& way : internal::half_conversions()) {
    if (!way.runs_here) {
      std::printf("half %s: not on this processor\n", std::string(way.name).c_str());
      continue;
    }
    std::vector<Half> out(in.size());
    way.from_float(in.data(), out.data(), in.size());
    for (size_t i = 0; i < in.size(); ++i) {
      ASSERT_EQ(out[i].bits, Half::from_float(in[i]).bits) << way.name << " " << in[i];
    }
    std::vector<float> back(all_codes.size());
    way.to_float(all_codes.data(), back.data(), back.size());
    for (size_t i = 0; i < back.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(back[i]), std::bit_cast<uint32_t>(all_codes[i].to_float()))
          << way.name << " " << i;
    }
  }
}

TEST(SmallFloat, AllWaysToConvertBfloat16Agree) {
  const std::vector<float> in = some_floats();
  for (const auto& way : internal::bfloat16_conversions()) {
    if (!way.runs_here) {
      std::printf("bfloat16 %s: not on this processor\n", std::string(way.name).c_str());
      continue;
    }
    std::vector<Bfloat16> out(in.size());
    way.from_float(in.data(), out.data(), in.size());
    std::vector<float> back(in.size());
    way.to_float(out.data(), back.data(), back.size());
    for (size_t i = 0; i < in.size(); ++i) {
      ASSERT_EQ(out[i].bits, Bfloat16::from_float(in[i]).bits) << way.name << " " << in[i];
      ASSERT_EQ(std::bit_cast<uint32_t>(back[i]), uint32_t{out[i].bits} << 16) << way.name;
    }
  }
}

}  // namespace
}  // namespace fewbit
