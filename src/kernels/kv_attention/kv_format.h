#pragma once
// How keys and values lie in memory: the blocks of a KvCache.
//
// A *block* holds 64 consecutive positions of one key-value head as two *planes*, matrices in one
// element format: the keys as [head_size channels, 64 positions], the values as [64 positions,
// head_size channels]. Attention then is one operation twice, a sum of a plane's rows:
//
//   scores[position] = sum_channel  q[channel]  * keys[channel, position]
//   out[channel]     = sum_position p[position] * values[position, channel]
//
// and the rows are what has a scale: keys per channel, values per token, as KIVI found best (Z. Liu
// et al., "KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache", 2024, section 3). A row
// of values may be cut into groups of channels, each with its own scale:
//
//   x[row, col] ~ offset[group, row] + scale[group, row] * code
//
//   format     bits  code
//   float32    32    the value itself; no scales
//   bfloat16   16    the value itself, rounded; no scales
//   int8        8    0 .. 255; offset = least value of the row, code 255 = the greatest
//   int4        4    0 .. 15, the same
//   fp8         8    e4m3 (float8.h) without subnormals; offset = 0, scale * 448 = the greatest
//                    magnitude
//
// In memory: first, where there are scales, for each group and row the bfloat16 scale and, in the
// upper half of the same 32-bit word, the bfloat16 offset (rounded away from the values between, so
// that the codes cover the row). Then the codes in *lines* of 64 bytes: sixteen columns, one in
// each 32-bit lane; a lane holds as many consecutive rows as fit, lowest bits first:
//
//   line [row / e][col / 16]    lane col % 16    e = 32 / bits rows
//   int8: byte i = row e r + i; int4: low half of byte i = row 8 r + i, high half = 8 r + 4 + i
//
// That is the operand of VPDPBUSD, and with two rows a lane the tile of TDPBF16PS.

#include <cstdint>
#include <optional>
#include <string_view>

namespace fewbit {

enum class KvFormat : uint8_t { kFloat32, kBfloat16, kInt8, kInt4, kFp8 };

/// "float32", "bfloat16", "int8", "int4", "fp8".
std::string_view name_of(KvFormat format);
std::optional<KvFormat> kv_format_from_name(std::string_view name);

namespace kv {

inline constexpr int kBlockTokens = 64;
inline constexpr int kLineCols = 16;
inline constexpr int kMaxHeadSize = 256;

constexpr int bits_of(KvFormat format) {
  switch (format) {
    case KvFormat::kFloat32:
      return 32;
    case KvFormat::kBfloat16:
      return 16;
    case KvFormat::kInt4:
      return 4;
    case KvFormat::kInt8:
    case KvFormat::kFp8:
      return 8;
  }
  return 0;
}

/// True for formats with a scale per row, which whole blocks are quantized to.
constexpr bool has_scales(KvFormat format) {
  return bits_of(format) <= 8;
}

/// The form of a plane; rows a multiple of 8, cols and group of 16.
struct Plane {
  KvFormat format;
  int rows;
  int cols;
  int group;  ///< columns that share a row's scale; the last group may be shorter

  constexpr int groups() const { return (cols + group - 1) / group; }
  constexpr int64_t scale_bytes() const {
    return has_scales(format) ? int64_t{4} * groups() * rows : 0;
  }
  constexpr int64_t code_bytes() const { return int64_t{rows} * cols * bits_of(format) / 8; }
  constexpr int64_t bytes() const { return scale_bytes() + code_bytes(); }
  /// Between the lines of consecutive rows.
  constexpr int64_t row_stride() const { return int64_t{4} * cols; }
};

/// The planes of a block: keys, then values.
struct Block {
  KvFormat format;
  int head_size;    ///< a multiple of 16
  int value_group;  ///< channels

  constexpr Plane keys() const { return {format, head_size, kBlockTokens, kBlockTokens}; }
  constexpr Plane values() const { return {format, kBlockTokens, head_size, value_group}; }
  constexpr int64_t bytes() const { return keys().bytes() + values().bytes(); }
  constexpr Block in_float() const { return {KvFormat::kFloat32, head_size, head_size}; }
};

}  // namespace kv
}  // namespace fewbit
