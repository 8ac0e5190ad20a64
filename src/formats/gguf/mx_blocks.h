#pragma once
// The blocks that GGUF files hold MXFP4 and NVFP4 weights in, to and from plain arrays.
//
//   mxfp4 (type 39)  17 bytes  [ e ] [qs 16]          32 weights
//     e: the scale 2^(e - 127); qs byte j: | code[j + 16] | code[j] |
//
//   nvfp4 (type 40)  36 bytes  [s0 s1 s2 s3] [qs 32]  64 weights in four groups of 16
//     s: unsigned float8e4m3 (the sign bit is not read); qs byte 8 g + j:
//     | code[16 g + j + 8] | code[16 g + j] |          j < 8
//
// The codes are float4e2m1 (numerics/float4.h). In plain arrays there is one code to a byte, in the
// order of the weights, and one scale byte to a group. Source: ggml-org/llama.cpp,
// ggml/src/ggml-common.h, ggml-impl.h.

#include <cstdint>
#include <span>

namespace fewbit::formats::gguf {

struct Mxfp4Block {
  static constexpr int kElems = 32;
  static constexpr int kGroups = 1;
  uint8_t scales[kGroups];
  uint8_t qs[kElems / 2];
};
struct Nvfp4Block {
  static constexpr int kElems = 64;
  static constexpr int kGroups = 4;
  uint8_t scales[kGroups];
  uint8_t qs[kElems / 2];
};
static_assert(sizeof(Mxfp4Block) == 17 && sizeof(Nvfp4Block) == 36);

/// codes [blocks * kElems], each below 16, and scales [blocks * kGroups] -> blocks.
void pack_blocks(std::span<const uint8_t> codes, std::span<const uint8_t> scales,
                 std::span<Mxfp4Block> blocks);
void pack_blocks(std::span<const uint8_t> codes, std::span<const uint8_t> scales,
                 std::span<Nvfp4Block> blocks);

/// The inverse.
void unpack_blocks(std::span<const Mxfp4Block> blocks, std::span<uint8_t> codes,
                   std::span<uint8_t> scales);
void unpack_blocks(std::span<const Nvfp4Block> blocks, std::span<uint8_t> codes,
                   std::span<uint8_t> scales);

/// out [blocks * kElems]: the floats that ggml gives, bit for bit. They are code times scale, but
/// a negative zero becomes 0; the mxfp4 scale 255 (NaN in MX) is 2^128 and so may overflow; the
/// nvfp4 scale 127 (NaN in float8e4m3) is 0.
void decode_blocks(std::span<const Mxfp4Block> blocks, std::span<float> out);
void decode_blocks(std::span<const Nvfp4Block> blocks, std::span<float> out);

}  // namespace fewbit::formats::gguf
