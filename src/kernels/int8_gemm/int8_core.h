#pragma once
// The machinery shared by int8_gemm and int8_conv (internal): one table of instruction sets, packed
// weights, and the loop that cuts a product into tiles. Vocabulary:
//
//   panel   16 columns of B (one 512-bit register of int32 sums), packed as int8_gemm.h draws it
//   tile    a few rows of A times one or two panels; its sums live in registers
//   stage   what happens to the sums of a tile: the flat form of Int8OutputSpec
//
// A row of the table computes one tile and finishes it. Everything else (blocking, threads, copies,
// corrections for zero points) is written once.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/tensor.h"
#include "kernels/int8_gemm/int8_output.h"
#include "kernels/isa.h"

namespace fewbit::int8 {

inline constexpr int kPanelCols = 16;
inline constexpr int kMaxTileRows = 32;
inline constexpr int kMaxTilePanels = 2;
inline constexpr int kTileCols = kPanelCols * kMaxTilePanels;

/// Int8OutputSpec with its channel arrays spread over the packed columns (64-byte aligned, padded
/// to whole panels) and its constants precomputed.
struct Stage {
  DType type = DType::kUint8;
  const float* scale = nullptr;
  const float* float_bias = nullptr;  ///< null: none
  float float_lo = 0, float_hi = 0;
  int32_t zero = 0, lo = 0, hi = 0;
  bool may_overflow = false;  ///< float(acc) * scale may exceed int32
  bool add = false;
  bool residual_first = false;
  float product_ratio = 0, residual_ratio = 0, fixed = 0;
  int32_t lo2 = 0, hi2 = 0;
  const uint8_t* lut = nullptr;  ///< null: none
};

/// A Stage and the memory it points to.
class StagePlan {
 public:
  /// Column i of the packed order is output channel channel_of[i], or padding where negative.
  /// `max_abs_acc` bounds |acc| and decides may_overflow.
  StagePlan(const Int8OutputSpec& spec, std::span<const int64_t> channel_of, double max_abs_acc);
  const Stage& stage() const { return stage_; }

 private:
  Stage stage_;
  Tensor scale_, float_bias_, lut_;
};

/// `tiles` tiles of equal height: acc[r][c] = start[r][c] + sum_k a[r][k] * b[k][c], r < rows,
/// c < 16 * panels; the rows of a tile follow those of the one before it.
/// The rows of A lie in two halves, the first (rows + 1) / 2 from a[0] on, the others from a[1] on,
/// a_stride bytes apart. A row is made of runs of `run_bytes` bytes at the given offsets: one for a
/// matrix, one per kernel line for a convolution read straight from the image.
struct TileArgs {
  const uint8_t* a[2];  ///< unsigned bytes, unless a_signed
  int64_t a_stride;
  int64_t a_next;  ///< bytes from one tile to the next
  int64_t a_step;  ///< bytes from one group of 64 k to the next: 64, or more in a tiled band
  int rows;
  int tiles;
  bool a_signed;  ///< only for rows of the table that say so
  int runs;
  const int64_t* run_offset;  ///< [runs]
  int64_t run_bytes;          ///< a multiple of Row::k_multiple
  const int8_t* b;
  int64_t panel_bytes;  ///< from one panel to the next
  int panels;
  const int32_t* start;  ///< rows of 16 * panels
  int64_t start_stride;  ///< elements from one row to the next; 0: one row for all
  /// Null: the sums are complete and are finished. Otherwise they go here, rows kTileCols apart,
  /// and a later call starts from them: k in blocks.
  int32_t* partial;
  /// Bytes from B to what the next call will read, 0 if nothing: the tiles fetch it meanwhile.
  int64_t fetch;
};

/// Where a tile goes. `column` indexes the packed arrays, `cols` of its columns exist.
struct FinishArgs {
  const Stage* stage;
  int64_t column;
  int cols;
  uint8_t* out;
  int64_t out_stride;  ///< bytes
  const uint8_t* residual;
  int64_t residual_stride;  ///< bytes
  const float* row_scale;   ///< null, or [rows]
  const int32_t* row_zero;  ///< null, or [rows]: acc -= row_zero[r] * col_sum[c]
  const int32_t* row_sum;   ///< null, or [rows]: acc -= row_sum[r] * col_zero[c]
  const int32_t* col_sum;   ///< packed arrays
  const int32_t* col_zero;
};

/// One row of the table: an instruction set.
struct Row {
  Isa isa;
  const char* label;
  bool emulated;   ///< computes what the instruction set would, in plain C++ (tests only)
  int k_multiple;  ///< K of A and B is padded to this
  bool tiled_a;    ///< can read a tiled band
  bool signed_a;   ///< takes int8 A as it is; otherwise A is shifted to unsigned
  int max_rows;    ///< rows of a full tile
  int max_panels;
  void (*begin)();  ///< called by a thread before its first tile, may be null
  void (*end)();    ///< and after its last
  void (*tile)(const TileArgs& tiles, const FinishArgs& finish);
  /// Finishes sums in memory: rows of kTileCols int32.
  void (*finish)(const int32_t* acc, int rows, const FinishArgs& finish);
  /// Codes of one panel (code_panels.h) to int8; `zero` is 64 bytes, taken off every line.
  void (*unpack)(int bits, const uint8_t* codes, const uint8_t* zero, int64_t chunks,
                 int8_t* panel);
};

/// Every row compiled in, ascending; emulated ones last.
std::span<const Row* const> all_rows();

/// The native row of `isa`, or of selected_isa() if none is asked for.
Result<const Row*> find_row(std::optional<Isa> isa);
/// The same for a product whose k are `runs` runs of `run` bytes. Where neither the caller nor
/// FEWBIT_ISA names the instruction set, short sums that would fill little of AMX's 64 k leave it
/// for AVX512-VNNI.
Result<const Row*> find_row(std::optional<Isa> isa, int64_t runs, int64_t run);

/// B for every group, packed: data[group][panel][k_padded / 4][16][4]. k is cut into `runs` runs
/// of equal length, each padded with zeros to run_bytes.
struct PackedB {
  int64_t k = 0, n = 0, groups = 1, panels = 0;
  int64_t runs = 1, run_bytes = 0;
  int64_t k_padded = 0;  ///< runs * run_bytes
  int bits = 8;          ///< of a weight in `data`: below 8, panels of codes (code_panels.h)
  Tensor data;
  Tensor code_zero;  ///< with codes: uint8 [groups * panels][64]
  Tensor col_sum;    ///< int32 [groups * panels * 16]: sum_k (b' - b_zero')
  Tensor col_zero;   ///< the same shape: b_zero'; undefined if all zero points are 0
  int64_t panel_bytes() const { return k_padded * kPanelCols; }
  int64_t columns() const { return groups * panels * kPanelCols; }
  /// Output channel of each packed column, -1 for padding.
  std::vector<int64_t> channel_of() const;
};

/// What to pack: column c, k-th element of group g is source[(g * n + c) * col_stride + k *
/// k_stride], k running through `k_order` if given (positions of successive k in the source).
struct PackSource {
  const uint8_t* data = nullptr;
  bool is_unsigned = false;
  int64_t k = 0, n = 0, groups = 1;
  int64_t runs = 1;
  int64_t col_stride = 0, k_stride = 0;
  std::span<const int64_t> k_order;  ///< empty: k itself
  std::span<const int32_t> zero;     ///< empty, one, or groups * n
};
/// `reuse` keeps memory of an earlier call (dynamic operands).
void pack_b(const PackSource& source, const Row& row, PackedB& out);

/// init[c] = bias[c] - a_zero' * col_sum[c] over the packed columns (bias may be empty).
Tensor make_init(const PackedB& b, std::span<const int32_t> bias, int32_t a_zero);

/// Sums over the k of each run of the packed bytes: int32 [runs][columns].
Tensor sum_runs(const PackedB& b);

/// Zero point of A as the tile sees it: shifted by 128 where int8 is read as unsigned.
int32_t tile_zero(DType a_type, int32_t a_zero, const Row& row);

/// Copies `bytes` bytes xor `flip` (0 or 0x80 in every byte). May write up to 15 bytes past the end
/// of dst, which the caller's buffer must hold; never reads at or past `src_end` unless within
/// [src, src + bytes).
void copy_run(uint8_t* dst, const uint8_t* src, int64_t bytes, uint8_t flip,
              const uint8_t* src_end);
/// Spare bytes at the end of a band: copies write up to 15 bytes too far, and the last run is read
/// up to a multiple of 64 bytes.
inline constexpr int64_t kBandSlack = 128;

/// Where a block of rows of A can be read: output pixel (line, x) of the block starts at
/// a + line * line_stride + x * pixel_stride.
struct Band {
  const uint8_t* a = nullptr;
  int64_t pixel_stride = 0;
  int64_t line_stride = 0;
  /// One line as [tile][k / 64][kMaxTileRows][64], so that the 64 k of a tile that AMX loads are
  /// one stretch of memory; a tile starts at a + (its first pixel) * pixel_stride.
  bool tiled = false;
};

/// The runs that a line takes part in; the others lie in padding. `init` replaces the product's and
/// carries what padding contributes.
struct LineRuns {
  int64_t first = 0;
  int64_t count = 0;
  const int32_t* init = nullptr;
};

/// How many of the last rows, `stride` bytes apart, reach past the end of the last one when read as
/// k_padded bytes.
inline int64_t rows_read_past_end(int64_t k, int64_t k_padded, int64_t stride) {
  return (k_padded - k + stride - 1) / stride;
}

/// The rows of A as lines of pixels. A matrix is one line; a convolution has the lines of its
/// output images. A block of them is found in place or copied into a band, padded and shifted as
/// the tile wants it.
struct RowSource {
  int64_t lines = 1;
  int64_t width = 0;            ///< pixels of a line
  int64_t lines_per_image = 1;  ///< a block never crosses from one image to the next
  std::vector<int64_t> run_offset;
  std::vector<LineRuns> line_runs;  ///< [lines_per_image], or empty: all runs
  Band in_place;                    ///< of line 0, if `copy` is not set
  /// With `copy` set: so many pixels of the only line can be read in place, padded k included; the
  /// last ones would be read past their end and are copied.
  int64_t in_place_pixels = 0;
  int64_t group_offset = 0;  ///< in place: bytes from one group to the next
  int64_t image_stride = 0;  ///< in place: bytes from one image to the next
  /// Bytes of a band of that many lines and pixels.
  std::function<int64_t(int64_t lines, int64_t pixels)> band_bytes;
  /// Copies pixels [x, x + pixels) of lines [line, line + lines) to `band` and says where they are.
  std::function<Band(int64_t group, int64_t line, int64_t lines, int64_t x, int64_t pixels,
                     uint8_t* band)>
      copy;
};

struct Product {
  const Row* row = nullptr;
  const PackedB* b = nullptr;
  const Stage* stage = nullptr;
  const int32_t* init = nullptr;
  bool a_signed = false;  ///< A reaches the tile as int8
  RowSource rows;
  uint8_t* out = nullptr;
  int64_t out_stride = 0;  ///< bytes
  const uint8_t* residual = nullptr;
  int64_t residual_stride = 0;  ///< bytes
  const float* row_scale = nullptr;
  const int32_t* row_zero = nullptr;  ///< as the tile sees it
};

/// Runs the product on at most `threads` threads.
void run_product(const Product& product, int threads);

}  // namespace fewbit::int8
