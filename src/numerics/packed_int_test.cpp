#include "numerics/packed_int.h"

#include <gtest/gtest.h>

#include <vector>

namespace fewbit {
namespace {

TEST(PackedInt, FirstElementIsInTheLowBits) {
  const std::vector<int8_t> values = {1, -8, 7};
  std::vector<uint8_t> packed(2, 0xff);
  pack_int4(values, packed.data());
  EXPECT_EQ(packed, (std::vector<uint8_t>{0x81, 0x07}));  // the unused high bits are zero
  const std::vector<uint8_t> pairs = {3, 2, 1, 0, 2};
  pack_uint2(pairs, packed.data());
  EXPECT_EQ(packed, (std::vector<uint8_t>{0b00011011, 0b00000010}));
}

template <int Bits, typename T, typename Pack, typename Unpack>
void round_trip(Pack pack, Unpack unpack) {
  constexpr int kLow = std::is_signed_v<T> ? -(1 << (Bits - 1)) : 0;
  for (size_t count = 0; count < 40; ++count) {
    std::vector<T> values(count);
    for (size_t i = 0; i < count; ++i) {
      values[i] = static_cast<T>(kLow + static_cast<int>(i * 5 + i / 7) % (1 << Bits));
    }
    std::vector<uint8_t> packed(packed_bytes(count, Bits) + 1, 0xa5);
    pack(values, packed.data());
    EXPECT_EQ(packed.back(), 0xa5) << "wrote past the end";
    std::vector<T> back(count);
    unpack(packed.data(), std::span(back));
    EXPECT_EQ(back, values);
    for (size_t i = 0; i < count; ++i) {
      const uint8_t code = packed_code<Bits>(packed.data(), i);
      EXPECT_EQ(std::is_signed_v<T> ? sign_extend<Bits>(code) : code, values[i]);
    }
  }
}

TEST(PackedInt, RoundTrip) {
  round_trip<4, int8_t>(pack_int4, unpack_int4);
  round_trip<4, uint8_t>(pack_uint4, unpack_uint4);
  round_trip<2, int8_t>(pack_int2, unpack_int2);
  round_trip<2, uint8_t>(pack_uint2, unpack_uint2);
}

TEST(PackedInt, SetReplacesOneElement) {
  std::vector<uint8_t> packed = {0xff, 0xff};
  set_packed_code<4>(packed.data(), 1, 0x3);
  EXPECT_EQ(packed, (std::vector<uint8_t>{0x3f, 0xff}));
  set_packed_code<2>(packed.data(), 6, 0xfd);  // only its two low bits count
  EXPECT_EQ(packed, (std::vector<uint8_t>{0x3f, 0xdf}));
}

}  // namespace
}  // namespace fewbit
