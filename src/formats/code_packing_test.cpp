#include "formats/code_packing.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"
#include "formats/code_planes.h"

namespace fewbit {
namespace {

using formats::CodePacking;
using Bytes = std::vector<uint8_t>;

Bytes ascending(int64_t count, int below) {
  Bytes codes(static_cast<size_t>(count));
  for (size_t i = 0; i < codes.size(); ++i)
    codes[i] = static_cast<uint8_t>(i % static_cast<size_t>(below));
  return codes;
}

Bytes packed(CodePacking packing, const Bytes& codes, int bits) {
  const auto count = static_cast<int64_t>(codes.size());
  Bytes bytes(static_cast<size_t>(formats::packed_row_bytes(packing, count, bits)));
  pack_row(packing, codes.data(), count, bits, bytes.data());
  return bytes;
}

TEST(CodePlanes, GoldenBytes) {
  // 32 codes 0 .. 15, 0 .. 15: byte j of the plane of 4 bits is j | j << 4.
  EXPECT_EQ(packed(CodePacking::kPlanes, ascending(32, 16), 4),
            (Bytes{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc,
                   0xdd, 0xee, 0xff}));
  // A chunk of 8 codes, 3 bits: the low two bits of codes j, j+2, j+4, j+6, then the third bits.
  EXPECT_EQ(packed(CodePacking::kPlanes, ascending(8, 8), 3),
            (Bytes{0b10001000, 0b11011101, 0xf0}));
  // Five codes of 6 bits fill up a chunk of 8: 4 bits of codes j and j+4, then 2 bits of four.
  EXPECT_EQ(packed(CodePacking::kPlanes, {1, 2, 3, 4, 63}, 6),
            (Bytes{0xf1, 0x02, 0x03, 0x04, 0b00110000, 0x00}));
  EXPECT_EQ(packed(CodePacking::kPlanes, {1, 0, 1, 1, 0, 0, 0, 1, 1}, 1), (Bytes{0x13, 0x0a}));
  EXPECT_EQ(packed(CodePacking::kPlanes, {200, 7}, 8), (Bytes{200, 7, 0, 0, 0, 0, 0, 0}));
}

TEST(CodePlanes, AllWidthsAndLengthsGoRound) {
  Random random(3);
  for (int bits = 1; bits <= 8; ++bits) {
    for (int64_t count = 1; count <= 140; ++count) {
      Bytes codes(static_cast<size_t>(count));
      for (uint8_t& c : codes) c = static_cast<uint8_t>(random.below(1U << bits));
      const Bytes bytes = packed(CodePacking::kPlanes, codes, bits);
      EXPECT_EQ(bytes.size(), static_cast<size_t>((count + 7) / 8 * bits));
      Bytes back(codes.size(), 0xaa);
      unpack_planes(bytes.data(), count, bits, back.data());
      ASSERT_EQ(back, codes) << bits << " bits, " << count << " codes";
    }
  }
}

TEST(Trits, GoldenBytes) {
  // 2 2 2 2 2 is 242: ceil(242 * 256 / 243) = 255. 0 0 0 0 1 is 1: ceil(256 / 243) = 2.
  EXPECT_EQ(packed(CodePacking::kTrits5In8, {2, 2, 2, 2, 2, 0, 0, 0, 0, 1}, 2), (Bytes{255, 2}));
  // A byte that the row does not fill has the middle code, zero, in its other places: 1 1 1 1 1.
  EXPECT_EQ(packed(CodePacking::kTrits5In8, {1}, 2), (Bytes{128}));
  // (1, 1, 1) is index 13, its negative 16 | 13; (0, 0, 1) is index 1.
  EXPECT_EQ(packed(CodePacking::kTrits3In5, {2, 2, 2, 0, 0, 0, 1, 1, 2}, 2),
            (Bytes{0x0d, 0x0d, 0x01, 0x00, 0b010}));
}

TEST(Trits, EveryGroupGoesRound) {
  for (const auto& [packing, length] :
       {std::pair{CodePacking::kTrits5In8, 5}, std::pair{CodePacking::kTrits3In5, 3}}) {
    int64_t patterns = 1;
    for (int i = 0; i < length; ++i) patterns *= 3;
    Bytes codes;
    for (int64_t p = 0; p < patterns; ++p) {
      for (int64_t rest = p, i = 0; i < length; ++i, rest /= 3) codes.push_back(rest % 3);
    }
    for (size_t drop = 0; drop < static_cast<size_t>(length); ++drop) {  // ragged ends
      const Bytes some(codes.begin(), codes.end() - static_cast<int64_t>(drop));
      const Bytes bytes = packed(packing, some, 2);
      Bytes back(some.size());
      unpack_row(packing, bytes.data(), static_cast<int64_t>(some.size()), 2, back.data());
      EXPECT_EQ(back, some);
    }
  }
}

TEST(Trits, EveryByteDecodesToCodesInRange) {
  Bytes bytes(320);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7);
  for (const CodePacking packing : {CodePacking::kTrits5In8, CodePacking::kTrits3In5}) {
    const int64_t count = packing == CodePacking::kTrits5In8 ? 1600 : 1536;
    ASSERT_LE(formats::packed_row_bytes(packing, count, 2), 320);
    Bytes codes(static_cast<size_t>(count));
    unpack_row(packing, bytes.data(), count, 2, codes.data());
    for (const uint8_t c : codes) EXPECT_LE(c, 2);
  }
}

}  // namespace
}  // namespace fewbit
