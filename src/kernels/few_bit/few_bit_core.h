#pragma once
// Between the packing (few_bit.cpp) and the inner loops (panel_kernel.h, rows_*.cpp): internal.

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/isa.h"

namespace fewbit::few_bit {

inline constexpr int64_t kPanelRows = 16;
inline constexpr int64_t kChunk = 32;  ///< k

/// How a packed matrix is laid out.
struct Layout {
  int bits = 0;
  int64_t groups = 0;            ///< of a row
  int64_t chunks_per_group = 0;  ///< 0: two groups of 16 share a chunk
  bool half_scales = true;       ///< float16, else float32
  bool offsets = false;
  int64_t panel_bytes = 0;

  int64_t chunk_bytes() const { return kPanelRows * kChunk * bits / 8; }
  int64_t scale_bytes() const { return kPanelRows * (half_scales ? 2 : 4); }
  /// Of one chunk or run of chunks with its scales and offsets.
  int64_t step_bytes() const {
    const int64_t vectors = chunks_per_group == 0 ? 2 : 1;
    const int64_t chunks = chunks_per_group == 0 ? 1 : chunks_per_group;
    return chunks * chunk_bytes() + vectors * (scale_bytes() + (offsets ? kPanelRows * 4 : 0));
  }
};

/// Quantized activations of a few rows.
struct Activations {
  const int8_t* q = nullptr;  ///< rows q_stride apart, k filled up to a chunk with zeros
  int64_t q_stride = 0;
  const int32_t* start =
      nullptr;  ///< [m, groups]: -zero * sum of q in the group; what sums begin with
  const float* group_sum = nullptr;  ///< [m, groups]: sum of q, for offsets
  const float* scale = nullptr;      ///< [m]
};

/// A run of panels for up to kMaxRows rows of activations.
struct PanelJob {
  const Layout* layout = nullptr;
  const uint8_t* panels = nullptr;  ///< the first; the others follow panel_bytes apart
  int64_t panel_count = 0;
  Activations x;
  int rows = 0;                ///< of x: 1 .. kMaxRows
  int streams = 1;             ///< of memory that one row of x walks at a time: 1 or 4
  int64_t prefetch_bytes = 0;  ///< how far ahead lines are asked for
  float* y = nullptr;          ///< [rows, 16 * panel_count], rows y_stride apart
  int64_t y_stride = 0;
};

inline constexpr int kMaxRows = 8;

struct Row {
  Isa isa;
  std::string_view label;
  void (*run)(const PanelJob& job);
};

/// One per instruction set.
std::span<const Row* const> all_rows();

extern const Row kScalarRow;
#if defined(__x86_64__)
extern const Row kAvx2Row;
extern const Row kAvxVnniRow;
extern const Row kAvx512VnniRow;
#endif

}  // namespace fewbit::few_bit
