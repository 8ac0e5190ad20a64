#pragma once
// Between the cache and the driver (kv_cache.cpp, kv_attention.cpp) and the inner loops (plane_*.h,
// few_rows.h, many_rows.h, tile_rows.h, compiled by rows_*.cpp): internal.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "kernels/isa.h"
#include "kernels/kv_attention/kv_format.h"

namespace fewbit::kv {

/// Consecutive blocks of one head that lie `stride` bytes apart.
struct BlockRun {
  Block block;
  const uint8_t* first = nullptr;
  int64_t count = 0;
  int64_t stride = 0;
  int64_t position = 0;  ///< of the first one's first token
};

/// Rows of queries that attend to the same head, and their running softmax (M. Milakov,
/// N. Gimelshein, "Online normalizer calculation for softmax", 2018): over the positions met so
/// far, max = the greatest score, sum = sum of e^(score - max), out = sum of e^(score - max) *
/// value.
struct Rows {
  int64_t count = 0;
  const float* q = nullptr;        ///< [count, head_size], finite, times the attention scale
  const int64_t* begin = nullptr;  ///< [count]: positions [begin, end) are visible
  const int64_t* end = nullptr;
  float softcap = 0;     ///< 0: none
  float* max = nullptr;  ///< [count], -infinity at first
  float* sum = nullptr;  ///< [count], 0 at first
  float* out = nullptr;  ///< [count, head_size], 0 at first
};

/// Rows that one call of a many-row kernel takes at most.
inline constexpr int kMaxRows = 512;

/// What a many-row kernel needs of memory, in bytes, aligned to 64.
inline constexpr int64_t kScratchBytes = int64_t{640} << 10;

/// One row of the table: vector kernels for one instruction set.
struct VectorRow {
  Isa isa;
  std::string_view label;
  /// Float32 plane -> plane of the form and format of `plane`, and back.
  void (*encode)(const Plane& plane, const float* from, uint8_t* to);
  void (*decode)(const Plane& plane, const uint8_t* from, float* to);
  /// Few rows: codes are multiplied where they lie. `ahead`: bytes between a line that is read and
  /// the one that is prefetched.
  void (*few)(std::span<const BlockRun> runs, const Rows& rows, int64_t ahead);
  /// Many rows: each block is decoded once to float32, then register-tiled products.
  void (*many)(std::span<const BlockRun> runs, const Rows& rows, uint8_t* scratch);
};

/// Many rows on tiles of bfloat16: blocks are decoded to bfloat16. q, probabilities and the decoded
/// keys and values are rounded to it; sums are float32. rows.q and rows.out have room for a
/// multiple of 16 rows.
struct TileRow {
  std::string_view label;
  bool emulated;
  void (*many)(std::span<const BlockRun> runs, const Rows& rows, uint8_t* scratch);
};

/// The kernels of one instruction set.
struct Kernels {
  Isa isa;
  const VectorRow* vector = nullptr;
  const TileRow* tile = nullptr;  ///< nullptr where there are no tiles
};

/// The best that `isa` (default: selected_isa()) allows. Error (kUnsupported): not available here.
Result<Kernels> find_kernels(std::optional<Isa> isa);

/// Every row that runs here, emulated ones too: for tests.
std::span<const Kernels> all_kernels();

extern const VectorRow kScalarRow;
extern const TileRow kTileEmulatedRow;
#if defined(__x86_64__)
extern const VectorRow kAvx2Row;
extern const VectorRow kAvxVnniRow;
extern const VectorRow kAvx512VnniRow;
extern const TileRow kTileRow;
#endif

}  // namespace fewbit::kv
