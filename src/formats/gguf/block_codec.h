#pragma once
// One GGUF block format: what a row of the format table needs. The codecs are compiled once per
// instruction set; all give the same bytes.

#include <cstdint>
#include <span>
#include <string_view>

#include "formats/format.h"

namespace fewbit::formats::gguf {

struct BlockCodec {
  int type;  ///< ggml's enum ggml_type, as in the file
  std::string_view name;
  std::string_view summary;
  int elems;  ///< weights in a block
  int block_bytes;
  int together;   ///< blocks that encode() takes
  float largest;  ///< no weight of a larger magnitude can be held

  /// x, w [together * elems] -> `together` blocks. Without `search` what ggml's reference quantizer
  /// gives, bit for bit (w is not read); with it the least sum of w (x - decoded)^2 found, never
  /// more in any block than the reference's. w from 0 to 1; |x| <= largest.
  void (*encode)(const float* x, const float* w, bool search, uint8_t* blocks);
  /// One block -> out [elems]: the floats that ggml gives, bit for bit. Any bytes will do.
  void (*decode)(const uint8_t* block, float* out);
  /// The block in the form w = scale * level(code) + offset, if it has that form: codes [elems]
  /// below 2^affine_bits, scales and offsets [elems / affine_elems] (formats/code_form.h).
  void (*affine)(const uint8_t* block, uint8_t* codes, float* scales, float* offsets);
  int affine_bits;       ///< 0: it has not
  int affine_elems;      ///< weights that share scale and offset
  int affine_zero;       ///< offset = -zero * scale; -1: offsets are their own
  const int8_t* levels;  ///< level of each code; null: the code itself
  /// All scales of a block are finite.
  bool (*is_finite)(const uint8_t* block);
};

/// The codec of a row of this family; null for others.
const BlockCodec* block_codec_of(const Format& format);

struct BlockCodecSet {
  std::string_view name;  ///< of the instruction set
  bool runs_here;
  std::span<const BlockCodec> codecs;  ///< by type
};

/// Slowest first; the last that runs here is used.
std::span<const BlockCodecSet> block_codec_sets();

std::span<const BlockCodec> block_codecs_base();
std::span<const BlockCodec> block_codecs_avx2();  ///< empty where it is not built

}  // namespace fewbit::formats::gguf
