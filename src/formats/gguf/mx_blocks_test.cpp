#include "formats/gguf/mx_blocks.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>
#include <vector>

namespace fewbit::formats::gguf {
namespace {

template <typename Block>
void check_round_trip() {
  std::mt19937 bits(14);
  constexpr size_t kBlocks = 50;
  std::vector<uint8_t> codes(kBlocks * Block::kElems);
  std::vector<uint8_t> scales(kBlocks * Block::kGroups);
  for (uint8_t& code : codes) code = bits() & 0xf;
  for (uint8_t& scale : scales) scale = static_cast<uint8_t>(bits());
  std::vector<Block> blocks(kBlocks);
  pack_blocks(codes, scales, std::span<Block>(blocks));
  std::vector<uint8_t> codes_back(codes.size());
  std::vector<uint8_t> scales_back(scales.size());
  unpack_blocks(std::span<const Block>(blocks), codes_back, scales_back);
  EXPECT_EQ(codes_back, codes);
  EXPECT_EQ(scales_back, scales);
}

TEST(GgufMxBlocks, NothingIsLostOnTheWay) {
  check_round_trip<Mxfp4Block>();
  check_round_trip<Nvfp4Block>();
}

TEST(GgufMxBlocks, TheHalvesOfAGroupShareBytes) {
  std::vector<uint8_t> codes(64, 0);
  codes[0] = 1;    // group 0, byte 0, low
  codes[8] = 2;    // group 0, byte 0, high
  codes[17] = 3;   // group 1, byte 1, low
  codes[63] = 15;  // group 3, byte 7, high
  const std::vector<uint8_t> scales = {10, 20, 30, 40};
  Nvfp4Block block;
  pack_blocks(codes, scales, std::span(&block, 1));
  EXPECT_EQ(block.scales[2], 30);
  EXPECT_EQ(block.qs[0], 0x21);
  EXPECT_EQ(block.qs[9], 0x03);
  EXPECT_EQ(block.qs[31], 0xf0);
  Mxfp4Block mx;
  pack_blocks(std::span(codes).first(32), std::span(scales).first(1), std::span(&mx, 1));
  EXPECT_EQ(mx.scales[0], 10);
  EXPECT_EQ(mx.qs[0], 0x01);
  EXPECT_EQ(mx.qs[8], 0x02);
  EXPECT_EQ(mx.qs[1], 0x30);
}

TEST(GgufMxBlocks, EveryScaleAndCodeDecodes) {
  constexpr std::array<float, 16> kValues = {0, 0.5F,  1,  1.5F,  2,  3,  4,  6,
                                             0, -0.5F, -1, -1.5F, -2, -3, -4, -6};
  for (int scale = 0; scale < 256; ++scale) {
    Mxfp4Block mx{};
    Nvfp4Block nv{};
    mx.scales[0] = nv.scales[1] = static_cast<uint8_t>(scale);
    for (int code = 0; code < 16; ++code) {
      mx.qs[3] = static_cast<uint8_t>(code << 4);  // weight 19
      nv.qs[8 + 3] = static_cast<uint8_t>(code);   // weight 16 + 3
      std::array<float, 32> mx_out;
      std::array<float, 64> nv_out;
      decode_blocks(std::span<const Mxfp4Block>(&mx, 1), mx_out);
      decode_blocks(std::span<const Nvfp4Block>(&nv, 1), nv_out);
      const double value = static_cast<double>(kValues[static_cast<size_t>(code)]);
      EXPECT_EQ(mx_out[19], static_cast<float>(std::ldexp(value, scale - 127)));
      const int e = scale >> 3 & 15;
      const double unsigned_scale =
          e == 0 ? std::ldexp(scale & 7, -9) : std::ldexp(8 + (scale & 7), e - 10);
      EXPECT_EQ(nv_out[19], static_cast<float>(scale == 0x7f ? 0 : value * unsigned_scale));
      EXPECT_EQ(mx_out[18], 0);
      EXPECT_EQ(nv_out[20], 0);
    }
  }
}

}  // namespace
}  // namespace fewbit::formats::gguf
