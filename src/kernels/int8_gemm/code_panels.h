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
// A thread unpacks what it multiplies:
//
//   all its panels, once per call, where they stay in the second-level cache and many blocks of A
//   pass by; then everything is as with int8;
//   else slices of k of two panels, which stay in the first-level cache while a block of A passes.
//   (Panels written to the second level cost 2.4 times as much: that is no way for a few rows.)

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
  /// Panels [begin, end) of `b`, whole (`keep_all`) or in slices. `memory` is the thread's, kept
  /// from call to call.
  PanelReader(const PackedB& b, const Row& row, int64_t begin, int64_t end, bool keep_all,
              Tensor& memory);

  /// From here on, `count` panels of one group from `panel` on are read, of their padded k
  /// [k_begin, k_end): whole panels, or multiples of Row::k_multiple.
  void set(int64_t panel, int64_t count, int64_t k_begin, int64_t k_end);

  /// Position k of the first of these panels.
  const int8_t* at(int64_t k) const { return first_ + (k - first_k_) * kPanelCols; }
  /// From one of these panels to the next.
  int64_t panel_bytes() const { return panel_bytes_; }

 private:
  void unpack(int64_t panel, int64_t count, int64_t chunk, int64_t chunks, int8_t* to) const;

  const PackedB& b_;
  const Row& row_;
  int64_t begin_;
  bool keep_all_;
  Tensor& memory_;
  const int8_t* first_ = nullptr;
  int64_t first_k_ = 0, end_k_ = 0, panel_bytes_ = 0;
  int64_t panel_ = -1;  // what first_ points to
  int64_t done_;        // keeping all: panels before this one are unpacked
};

}  // namespace fewbit::int8
