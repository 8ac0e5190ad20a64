#pragma once
// How weights in few bits are packed. Sixteen rows of w form a panel, one in each 32-bit lane of a
// 512-bit register. Four consecutive k are the four bytes of a lane, as VPDPBUSD and the AMX tiles
// take them. A chunk is 32 k:
//
//   plane of 8 bits, 8 lines of 64 bytes: byte 4 l + i of line j = code of lane l, k = 4 j + i
//   plane of 4 bits, 4 lines: low half of a byte as line 2 j, high half as line 2 j + 1
//   plane of 2 bits, 2 lines: bits 2 s of a byte as line 4 j + s
//   plane of 1 bit,  1 line:  bit j of a byte as line j
//   (planes of a width as in formats/code_planes.h: 7 = 4 + 2 + 1, low bits first)
//
// A group is its chunks, then 16 scales (float16 if all of them are float16 values once the unit of
// their row is taken out, else float32), then, unless offset = -zero * scale, 16 offsets (float32).
// Groups of 16 share a chunk, whose scales are two vectors. What fills up k is code 0 against
// activation 0; what fills up a panel has scale 0.

#include <array>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "base/tensor.h"
#include "formats/format.h"
#include "kernels/few_bit/few_bit.h"

namespace fewbit::few_bit {

inline constexpr int64_t kPanelRows = 16;
inline constexpr int64_t kChunk = 32;         ///< k
inline constexpr int64_t kBlockDepth = 1024;  ///< k that share a scale of expanded weights

struct Layout {
  int bits = 0;
  int64_t groups = 0;            ///< of a row
  int64_t group_elems = 0;       ///< of all groups but the last; 16 or a multiple of kChunk
  int64_t chunks_per_group = 0;  ///< 0: two groups of 16 share a chunk
  bool half_scales = true;       ///< float16, else float32
  bool offsets = false;
  int64_t panel_bytes = 0;
  int32_t zero = 0;  ///< of all groups: offset = -zero * scale, unless offsets are stored
  /// Codes of up to 4 bits name levels: unsigned bytes, `zero` above their integers.
  bool table = false;
  std::array<uint8_t, 16> byte_levels{};
  /// The same as floats, `zero` taken off, for all 16 values of four bits whose lowest are a code;
  /// for codes of more bits unused.
  std::array<float, 16> float_levels{};

  int64_t chunk_bytes() const { return kPanelRows * kChunk * bits / 8; }
  int64_t scale_bytes() const { return kPanelRows * (half_scales ? 2 : 4); }
  int64_t vector_bytes() const { return scale_bytes() + (offsets ? kPanelRows * 4 : 0); }
  /// Of one chunk or run of chunks with its scales and offsets.
  int64_t step_bytes() const {
    return chunks_per_group == 0 ? chunk_bytes() + 2 * vector_bytes()
                                 : chunks_per_group * chunk_bytes() + vector_bytes();
  }
  /// Levels are bytes as they are, under one scale for a row.
  bool expands_exactly() const { return groups == 1 && !offsets && (bits < 8 || zero == 128); }
  /// k rounded up to what the panels hold.
  int64_t width() const {
    return chunks_per_group == 0 ? (groups + 1) / 2 * kChunk : groups * chunks_per_group * kChunk;
  }
};

struct Panels {
  Layout layout;
  int64_t n = 0;
  int64_t k = 0;
  Tensor bytes;                 ///< uint8: panels, one after the other
  std::vector<float> row_unit;  ///< [16 * count]: what multiplies all scales of a row
  /// [count, blocks, 16]: of weights expanded to bytes, for each kBlockDepth k.
  std::vector<float> block_scale;

  int64_t count() const { return (n + kPanelRows - 1) / kPanelRows; }
  int64_t blocks() const { return (k + kBlockDepth - 1) / kBlockDepth; }
  const uint8_t* panel(int64_t p) const { return bytes.data<uint8_t>() + p * layout.panel_bytes; }
};

/// The format must be one that few_bit_takes.
Panels pack_panels(const PackedMatrix& matrix, FewBitActivations activations);

}  // namespace fewbit::few_bit
