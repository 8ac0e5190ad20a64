#pragma once
// Panels of B that lie in memory in few bits and become int8 just before they are multiplied
// (internal).
//
//   value = code - zero[column]   2 to 7 bits, code in [0, 2^bits - 1]
//   value = 2 code - 1            1 bit: weights that are all -1 or +1
//
// Layout. The lines of a panel (64 bytes: four k of sixteen columns, int8_gemm.h) in chunks of
// eight, 32 k. A chunk is stored as planes of 4, 2 and 1 bits, low bits first (7 = 4 + 2 + 1):
//
//   plane of 4 bits, 4 x 64 bytes: low half of a byte = line 2 j, high half = line 2 j + 1
//   plane of 2 bits, 2 x 64 bytes: bits 2 s of a byte = line 4 j + s
//   plane of 1 bit,      64 bytes: bit j of a byte    = line j
//
// so that 64 weights cost one shift and one mask a plane, and the subtraction of the zeros. The
// sums are those of the int8 panels: nothing is rounded anywhere.
//
// A thread unpacks what it multiplies. Where all its panels together stay in the second-level cache
// they are unpacked once per call; else two panels at a time, while the two before them are
// multiplied, for all rows of a block.

#include <cstdint>

#include "kernels/int8_gemm/int8_core.h"

namespace fewbit::int8 {

inline constexpr int64_t kChunkLines = 8;
inline constexpr int64_t kChunkK = 4 * kChunkLines;
inline constexpr int64_t kLineBytes = 64;

/// Replaces int8 panels by codes of as few bits as hold every value (of each column, together with
/// the 0 of what fills up a run). Leaves them as they are where that takes 8 bits.
void compress_panels(PackedB& b);

/// The panels of B that one thread works on, as int8.
class PanelReader {
 public:
  /// Panels [begin, end) of `b`. `memory` is the thread's, kept from call to call.
  PanelReader(const PackedB& b, const Row& row, int64_t begin, int64_t end, Tensor& memory);

  /// Bytes from one panel to the next.
  int64_t panel_bytes() const { return panel_bytes_; }

  /// The panels of a tile that begins with `panel`, next to each other; they stay until those of
  /// the tile after the next are asked for. Tiles are asked for in ascending order, block by block
  /// of A.
  const int8_t* get(int64_t panel);

  /// What may be unpacked while they are multiplied; null if nothing.
  UnpackJob* ahead() { return job_.chunks > 0 ? &job_ : nullptr; }

 private:
  void start(int64_t panel);

  const PackedB& b_;
  const Row& row_;
  int64_t begin_, end_;
  int64_t panel_bytes_;
  bool keeps_all_ = false;  // else two tiles' panels
  int8_t* memory_ = nullptr;
  UnpackJob job_;
  int64_t job_begin_ = -1, job_end_ = -1;  // panels of the job, the last one started
  int8_t* job_place_ = nullptr;
  int64_t now_ = -1;  // panel that the tile before began with,
  int8_t* now_place_ = nullptr;
  int64_t done_;  // keeping all: panels before this one are unpacked
};

}  // namespace fewbit::int8
