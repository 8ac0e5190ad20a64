#pragma once
// Format: how one matrix of weights is stored in few bits. A name in text, a row in one table
// (format_table.cpp), and three functions: which parts the storage has, encode, decode.
//
//   ELEMENT[/GRANULARITY][:SCALE]
//
//   int4/g32:f16     4-bit integers, one float16 scale per 32 elements of a row
//   uint4/g64        with a zero-point in [0, 15] per group; the scale is the element's default
//   int8/channel     one scale per row              int8/tensor      one for the whole matrix
//   int4/g32:u6      6-bit integers as scales, under one float32 per row
//   int4/g32:u6s256  the same under one float16 per 256 elements
//   mxfp4, q4_K      formats whose block and scales are fixed by their definition
//
// A matrix is [rows, cols], row-major: a row holds the weights of one output channel, and groups
// run along it. The last group of a row may be ragged. Everything here is deterministic: the same
// input gives the same bytes on every processor and with any number of threads.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/tensor.h"
#include "formats/scale.h"

namespace fewbit {

struct FormatRow;

/// One entry of the table with its choices made. Compare and print by name().
struct Format {
  const FormatRow* row = nullptr;
  int64_t group_elems = 0;  ///< along a row; kPerChannel, kPerTensor, or as the row fixes it
  ScaleType scale = ScaleType::kUnscaled;  ///< of a group
  int64_t super_elems = kPerChannel;       ///< integer scales only: what shares their float scale

  static constexpr int64_t kPerChannel = 0;
  static constexpr int64_t kPerTensor = -1;

  /// The shortest text that parse_format reads as this format: defaults are left out.
  std::string name() const;
  bool operator==(const Format&) const = default;
};

/// Reads a format's name. Errors (kMisuse): unknown element (the nearest is named), a granularity
/// or scale that the element does not have; each says what there is.
Result<Format> parse_format(std::string_view text);

/// One array of a stored matrix: a name that is unique within it, element type and dimensions.
struct PartSpec {
  std::string_view name;  ///< "codes", "scales", "zeros", ...
  DType type = DType::kUint8;
  Dims dims;
};

/// The arrays that a [rows, cols] matrix takes in `format`, in order.
std::vector<PartSpec> parts_of(const Format& format, int64_t rows, int64_t cols);

/// Bytes of all parts together.
int64_t stored_bytes(const Format& format, int64_t rows, int64_t cols);
/// stored_bytes * 8 / (rows * cols): scales, zero-points, codebooks and padding included.
double bits_per_weight(const Format& format, int64_t rows, int64_t cols);

/// A matrix in a format.
struct PackedMatrix {
  Format format;
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<Tensor> parts;  ///< as parts_of says

  /// The part of that name; it must exist.
  const Tensor& part(std::string_view name) const;
  Tensor& part(std::string_view name);
};

/// What encode works on. `values` is [rows, cols]. `importance` says how much the square of each
/// error counts: empty (all alike), [cols] (one per input, as calibration gives it), or
/// [rows, cols]; not negative.
struct EncodeInput {
  std::span<const float> values;
  int64_t rows = 0;
  int64_t cols = 0;
  std::span<const float> importance;
};

struct EncodeOptions {
  /// Scales (codebooks, table choices) of least weighted squared error; false: what the format's
  /// own definition or reference program takes, from the largest magnitude alone.
  bool search = true;
};

/// Encodes with all threads. Errors (kBadInput): NaN or infinity (names row and column), negative
/// importance, values whose scale the scale type cannot hold.
Result<PackedMatrix> encode(const Format& format, const EncodeInput& in,
                            const EncodeOptions& options = {});

/// An empty matrix with zeroed parts in `format`.
PackedMatrix make_packed(const Format& format, int64_t rows, int64_t cols);

/// Decodes rows [row_begin, row_end) to `out` [row_end - row_begin, cols]. Every pattern of bits
/// decodes (to NaN or infinity, if that is what a scale says): nothing is read or written out of
/// bounds.
void decode_rows(const PackedMatrix& matrix, int64_t row_begin, int64_t row_end,
                 std::span<float> out);

/// All rows, with all threads, to `out` [rows, cols].
void decode(const PackedMatrix& matrix, std::span<float> out);
std::vector<float> decode(const PackedMatrix& matrix);

/// Checks that the parts have the types and dimensions that the format asks for, as from a file.
Status check_parts(const PackedMatrix& matrix);

/// Files that can carry a format, beside the native one. Bits of FormatRow::files.
enum FileKind : uint8_t { kOnnxFile = 1, kGgufFile = 2, kCompressedTensorsFile = 4 };

/// The error that a format makes on a source, relative to the source's variance, is in docs and
/// tests; this is the table they are generated from.
struct FormatRow {
  uint16_t id = 0;  ///< on disk; never reused
  std::string_view name;
  std::string_view summary;  ///< one line
  std::string_view source;   ///< who defined it

  // The choices.
  bool groups = false;        ///< /gN with N of 16 .. 256, a multiple of 16 (or 8 where fixed)
  bool channel = false;       ///< /channel
  bool tensor = false;        ///< /tensor
  int64_t default_group = 0;  ///< elements, kPerChannel or kPerTensor; the block of a fixed format
  uint32_t scales = 0;        ///< bits 1 << ScaleType that may be chosen; 0: fixed by definition
  ScaleType default_scale = ScaleType::kUnscaled;
  uint8_t files = 0;  ///< FileKind bits

  // The storage.
  void (*parts)(const Format& format, int64_t rows, int64_t cols,
                std::vector<PartSpec>& out) = nullptr;
  /// Fills what the whole matrix shares (a scale, codebooks); may be null. Uses threads itself.
  /// `needs_prepare` says for which formats; null: for all.
  Status (*prepare)(const EncodeInput& in, const EncodeOptions& options,
                    PackedMatrix& out) = nullptr;
  bool (*needs_prepare)(const Format& format) = nullptr;
  /// Encodes rows [row_begin, row_end); called from many threads on disjoint ranges. row_begin is a
  /// multiple of kRowsTogether.
  Status (*encode)(const EncodeInput& in, const EncodeOptions& options, int64_t row_begin,
                   int64_t row_end, PackedMatrix& out) = nullptr;
  void (*decode)(const PackedMatrix& matrix, int64_t row_begin, int64_t row_end,
                 float* out) = nullptr;
  /// What the family's functions need to know about this row; null if nothing.
  const void* detail = nullptr;
};

/// Rows that an encoder may treat side by side.
inline constexpr int64_t kRowsTogether = 16;

/// The whole table, in the order of the documentation. Ids and names are unique.
std::span<const FormatRow* const> format_table();
const FormatRow* find_format(std::string_view element);
const FormatRow* find_format(uint16_t id);

/// Row's defaults.
Format default_format(const FormatRow& row);

/// Groups in a row of `cols` elements; 1 with a scale per channel or tensor.
int64_t groups_per_row(const Format& format, int64_t cols);

}  // namespace fewbit
