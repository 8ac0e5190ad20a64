#pragma once
// The parts of int8_depthwise (internal): the table of instruction sets and the arguments of their
// two functions. int8_depthwise.h explains the strip; the driver is written once for all rows.

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "kernels/int8_gemm/int8_core.h"
#include "kernels/isa.h"

namespace fewbit::int8 {

inline constexpr int kDepthwiseMaxRows = 2;  ///< output rows computed together
inline constexpr int kLaneBytes = 16;
inline constexpr int kMaxLanes = 4;

/// Interleaves four input lines of a channel block into the strip.
struct InterleaveArgs {
  const uint8_t* line[4];  ///< first column, first channel of the block
  int64_t line_step[4];    ///< bytes from one column to the next; 0 for a line of padding
  int64_t columns;
  int lanes;            ///< width of the block in 16-byte lanes: 1, 2 or 4
  int channels;         ///< channels that exist, <= 16 * lanes
  uint8_t flip;         ///< xor-ed to every byte
  uint8_t* dst;         ///< quad 0, phase 0, slot of the first column
  int64_t quad_bytes;   ///< from one quad to the next
  int64_t phase_bytes;  ///< from one column phase to the next
  int phases;           ///< column stride of the convolution
  int first_phase;      ///< of the first column
};

/// `rows` output rows of `vectors` vectors of 16 * lanes results each.
struct DepthwiseTile {
  const uint8_t* strip;  ///< quad 0 at the first output column
  int64_t quad_bytes;
  const int64_t* step_offset;  ///< [steps] bytes from `strip` to the operand of a step
  int steps;                   ///< row groups x kernel columns x parts of a weight
  const int8_t* weights;       ///< [quad][step][packed_rows][16 * lanes]
  int packed_rows;
  const int32_t* init;  ///< [quad][4 * lanes]
  const float* scale;   ///< [quad][4 * lanes]
  const Stage* stage;
  int rows;
  int vectors;
  uint8_t* out[kDepthwiseMaxRows];  ///< results of a row,
  int64_t out_step;                 ///< vectors out_step bytes apart
  int32_t* acc;                     ///< sums instead: [row][vector][quad][4 * lanes]
};

struct DepthwiseRow {
  Isa isa;
  const char* label;
  int lanes;  ///< 16-byte lanes of a vector
  void (*interleave)(const InterleaveArgs&);
  void (*tile)(const DepthwiseTile&);       ///< requantized bytes to out
  void (*tile_sums)(const DepthwiseTile&);  ///< int32 sums to acc
};

std::span<const DepthwiseRow* const> all_depthwise_rows();
Result<const DepthwiseRow*> find_depthwise_row(std::optional<Isa> isa);

extern const DepthwiseRow kDepthwiseScalarRow;
#if defined(__x86_64__)
extern const DepthwiseRow kDepthwiseAvx2Row;
extern const DepthwiseRow kDepthwiseAvxVnniRow;
extern const DepthwiseRow kDepthwiseAvx512Row;
#endif

}  // namespace fewbit::int8
