#include "formats/gguf/mx_blocks.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "numerics/float4.h"
#include "numerics/float8.h"

namespace fewbit::formats::gguf {
namespace {

template <typename Block>
void check_sizes(size_t blocks, size_t codes, size_t scales) {
  FEWBIT_CHECK(codes == blocks * Block::kElems, codes, blocks);
  FEWBIT_CHECK(scales == blocks * Block::kGroups, scales, blocks);
}

template <typename Block>
constexpr int kGroupElems = Block::kElems / Block::kGroups;

// Where code i of a group lies: in byte i mod half, the low four bits for the first half.
template <typename Block>
void pack(std::span<const uint8_t> codes, std::span<const uint8_t> scales,
          std::span<Block> blocks) {
  check_sizes<Block>(blocks.size(), codes.size(), scales.size());
  constexpr int kHalf = kGroupElems<Block> / 2;
  const uint8_t* code = codes.data();
  const uint8_t* scale = scales.data();
  for (Block& block : blocks) {
    uint8_t* byte = block.qs;
    for (uint8_t& s : block.scales) {
      s = *scale++;
      for (int j = 0; j < kHalf; ++j) {
        *byte++ = static_cast<uint8_t>((code[j] & 0xf) | code[j + kHalf] << 4);
      }
      code += 2 * kHalf;
    }
  }
}

template <typename Block>
void unpack(std::span<const Block> blocks, std::span<uint8_t> codes, std::span<uint8_t> scales) {
  check_sizes<Block>(blocks.size(), codes.size(), scales.size());
  constexpr int kHalf = kGroupElems<Block> / 2;
  uint8_t* code = codes.data();
  uint8_t* scale = scales.data();
  for (const Block& block : blocks) {
    const uint8_t* byte = block.qs;
    for (const uint8_t s : block.scales) {
      *scale++ = s;
      for (int j = 0; j < kHalf; ++j, ++byte) {
        code[j] = *byte & 0xf;
        code[j + kHalf] = *byte >> 4;
      }
      code += 2 * kHalf;
    }
  }
}

// Half the scale: ggml's codes are twice the values of float4e2m1, whole numbers. 2^(e - 128), of
// which 0 and 1 are subnormal.
float half_scale(const Mxfp4Block&, uint8_t e) {
  return std::bit_cast<float>(e < 2 ? uint32_t{0x00200000} << e
                                    : static_cast<uint32_t>(e - 1) << 23);
}
float half_scale(const Nvfp4Block&, uint8_t s) {
  if (s == 0x7f) return 0;
  // The largest code is a number here: 0x7f, reached only through the ignored sign bit, is 480.
  const uint8_t magnitude = s & 0x7f;
  return magnitude == 0x7f ? 240.0F : Float8E4M3FN{magnitude}.to_float() * 0.5F;
}

template <typename Block>
void decode(std::span<const Block> blocks, std::span<float> out) {
  FEWBIT_CHECK(out.size() == blocks.size() * Block::kElems, out.size(), blocks.size());
  constexpr int kHalf = kGroupElems<Block> / 2;
  const auto twice = [](int code) {
    const float value = 2 * Float4E2M1::kValues[static_cast<size_t>(code)];
    return value == 0 ? 0.0F : value;
  };
  float* to = out.data();
  for (const Block& block : blocks) {
    const uint8_t* byte = block.qs;
    for (const uint8_t s : block.scales) {
      const float scale = half_scale(block, s);
      for (int j = 0; j < kHalf; ++j, ++byte) {
        to[j] = twice(*byte & 0xf) * scale;
        to[j + kHalf] = twice(*byte >> 4) * scale;
      }
      to += 2 * kHalf;
    }
  }
}

}  // namespace

void pack_blocks(std::span<const uint8_t> codes, std::span<const uint8_t> scales,
                 std::span<Mxfp4Block> blocks) {
  pack(codes, scales, blocks);
}
void pack_blocks(std::span<const uint8_t> codes, std::span<const uint8_t> scales,
                 std::span<Nvfp4Block> blocks) {
  pack(codes, scales, blocks);
}

void unpack_blocks(std::span<const Mxfp4Block> blocks, std::span<uint8_t> codes,
                   std::span<uint8_t> scales) {
  unpack(blocks, codes, scales);
}
void unpack_blocks(std::span<const Nvfp4Block> blocks, std::span<uint8_t> codes,
                   std::span<uint8_t> scales) {
  unpack(blocks, codes, scales);
}

void decode_blocks(std::span<const Mxfp4Block> blocks, std::span<float> out) {
  decode(blocks, out);
}
void decode_blocks(std::span<const Nvfp4Block> blocks, std::span<float> out) {
  decode(blocks, out);
}

}  // namespace fewbit::formats::gguf
