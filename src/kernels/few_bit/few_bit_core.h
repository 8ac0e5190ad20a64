#pragma once
// Between packing and driver on one side and the inner loops (*_kernel.h, rows_*.cpp) on the other:
// internal.

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/few_bit/panels.h"
#include "kernels/isa.h"

namespace fewbit::few_bit {

inline constexpr int kMaxRows = 8;
inline constexpr int64_t kTileRows = 16;   ///< of activations
inline constexpr int64_t kTileBytes = 64;  ///< of a row of a tile

/// Activations of a few rows, in int8 or float32.
struct Activations {
  const int8_t* q = nullptr;  ///< rows stride apart, k filled up to a chunk with zeros
  const float* x = nullptr;   ///< the same in float32
  int64_t stride = 0;         ///< elements
  /// [m, groups]: -zero * sum of the activations in the group; what sums begin with.
  const int32_t* start = nullptr;
  const float* group_sum = nullptr;  ///< [m, groups]: sum of the activations, for offsets
  const float* scale = nullptr;      ///< [m]; 1 for float32

  /// Rows from `row` on.
  Activations from(int64_t row, int64_t groups) const {
    Activations a = *this;
    if (q != nullptr) a.q += row * stride;
    if (x != nullptr) a.x += row * stride;
    if (start != nullptr) a.start += row * groups;
    a.group_sum += row * groups;
    a.scale += row;
    return a;
  }
};

/// A run of panels for up to kMaxRows rows of activations.
struct PanelJob {
  const Layout* layout = nullptr;
  const uint8_t* panels = nullptr;  ///< the first; the others follow panel_bytes apart
  const float* row_unit = nullptr;  ///< [16 * panel_count]
  int64_t panel_count = 0;
  Activations x;
  int rows = 0;                ///< of x: 1 .. kMaxRows
  int streams = 1;             ///< of memory that one row of x walks at a time: 1 or 4
  int64_t prefetch_bytes = 0;  ///< how far ahead lines are asked for
  float* y = nullptr;          ///< [rows, 16 * panel_count], rows y_stride apart
  int64_t y_stride = 0;
};

/// A panel's chunks [chunk, chunk + chunks) as bytes under one scale for each of its rows.
struct ExpandJob {
  const Layout* layout = nullptr;
  const uint8_t* panel = nullptr;
  const uint8_t* next = nullptr;  ///< the codes that the next job begins with
  int64_t chunk = 0;
  int64_t chunks = 0;
  int zero = 0;  ///< of the bytes: 128 for unsigned ones, 0 for signed ones
  /// 8 of 64 bytes for each chunk: zero + w / scale, as panels.h has them.
  uint8_t* lines = nullptr;
  const float* scale = nullptr;  ///< [16], of Panels::block_scale
};

/// Expanded panels times many rows of int8 activations, over some k.
///
/// Activations lie in tiles of 16 rows of 64 bytes, 64 k: tiles of the same rows follow each other,
/// and rows do.
struct BlockJob {
  const int8_t* tiles = nullptr;
  int64_t tile_stride = 0;  ///< bytes from the tiles of 16 rows to those of the next
  int64_t k_tiles = 0;      ///< of 64 k
  int64_t row_tiles = 0;    ///< of 16 rows
  /// Tiles that the next job reads, one after the other: to be asked for meanwhile.
  const int8_t* next_tiles = nullptr;
  const uint8_t* lines = nullptr;  ///< panels, k_tiles * 1024 bytes apart
  int64_t panels = 0;              ///< an even number
  const int32_t* start = nullptr;  ///< [16 * row_tiles]: -zero * sum of the activations
  const float* scale = nullptr;    ///< [16 * panels]
  float* total = nullptr;          ///< [16 * row_tiles, 16 * panels]
  int64_t total_stride = 0;
  bool first = true;  ///< total = ..., else total += ...
  /// What follows the last of the blocks: y = total * unit * row_scale + bias, for pairs of whole
  /// panels and rows that are there; total remains of the others.
  bool last = false;
  const float* unit = nullptr;       ///< [16 * panels]
  const float* bias = nullptr;       ///< [16 * panels]
  const float* row_scale = nullptr;  ///< [rows]
  int64_t rows = 0;
  int64_t whole_panels = 0;
  float* y = nullptr;  ///< [rows, 16 * whole_panels], rows y_stride apart
  int64_t y_stride = 0;
};

/// x * inverse, rounded to the nearest even, in pieces.
struct RoundJob {
  const float* x = nullptr;
  int64_t count = 0;
  float inverse = 0;  ///< |x * inverse| <= 127 + rounding
  int64_t piece = 0;  ///< elements; the last is filled up with zeros
  int64_t piece_stride = 0;
  int8_t* q = nullptr;      ///< pieces piece_stride apart
  int32_t* sums = nullptr;  ///< of each piece
};

/// y = total * unit * scale + bias
struct FinishJob {
  const float* total = nullptr;
  const float* unit = nullptr;
  const float* bias = nullptr;
  float scale = 0;
  int64_t count = 0;
  float* y = nullptr;
};

struct Row {
  Isa isa;
  std::string_view label;
  bool emulated;
  int byte_zero;  ///< of expanded weights, as block wants them
  void (*run)(const PanelJob& job);
  void (*run_float)(const PanelJob& job);
  void (*expand)(const ExpandJob& job);
  void (*block)(const BlockJob& job);
  uint32_t (*largest_bits)(const float* x, int64_t count);  ///< of magnitudes
  void (*round)(const RoundJob& job);
  void (*finish)(const FinishJob& job);
};

std::span<const Row* const> all_rows();

// Row::block on tiles: of the AMX row, and of its twin.
void amx_block(const BlockJob& job);
void amx_block_emulated(const BlockJob& job);

extern const Row kScalarRow;
extern const Row kAmxEmulatedRow;
#if defined(__x86_64__)
extern const Row kAvx2Row;
extern const Row kAvxVnniRow;
extern const Row kAvx512VnniRow;
extern const Row kAmxRow;
#elif defined(__aarch64__)
extern const Row kNeonDotprodRow;
extern const Row kNeonI8mmRow;
#endif

}  // namespace fewbit::few_bit
