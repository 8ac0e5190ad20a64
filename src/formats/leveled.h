#pragma once
// What all formats of the form w = scale * level(code) share: storage, encode, decode. Such a
// format is a LevelGrid, a packing and a set of choices; its file states them and fills in a row.
//
//   codes         uint8 [rows, bytes of a row]              code_packing.h
//   scales        [rows, groups], [rows] or [1] of the scale type; integer scales: uint8 planes
//                 [rows, plane_bytes(groups, bits)]
//   super_scales  integer scales: float32 [rows], or float16 [rows, ceil(cols / 256)]
//   tensor_scale  e4m3 scales: float32 [1]
//   zeros         zero-points: uint8 planes [rows, plane_bytes(groups, bits)]; uint8 [rows] or [1]
//                 with a scale per row or matrix
//
//   w = scale * unit * level(code),  or  scale * (code - zero)

#include "formats/code_packing.h"
#include "formats/format.h"
#include "formats/level_grid.h"

namespace fewbit::formats {

struct Leveled {
  LevelGrid grid;
  CodePacking packing = CodePacking::kPlanes;
};

/// A row for `leveled`, which must live as long as the program. Choices and names are the caller's.
constexpr FormatRow leveled_row(uint16_t id, std::string_view name, const Leveled* leveled);

/// What a leveled format's row points to; null for other formats.
const Leveled* leveled_of(const Format& format);

void leveled_parts(const Format& format, int64_t rows, int64_t cols, std::vector<PartSpec>& out);
/// With a scale for the whole matrix.
bool leveled_needs_prepare(const Format& format);
Status leveled_prepare(const EncodeInput& in, const EncodeOptions& options, PackedMatrix& out);
Status leveled_encode(const EncodeInput& in, const EncodeOptions& options, int64_t row_begin,
                      int64_t row_end, PackedMatrix& out);
void leveled_decode(const PackedMatrix& matrix, int64_t row_begin, int64_t row_end, float* out);

/// The codes of one row, one per byte [cols], as the storage has them.
void leveled_codes(const PackedMatrix& matrix, int64_t row, uint8_t* codes);
/// The scales of one row, [groups_per_row], as decode uses them (integer scales multiplied out, the
/// grid's unit not).
void leveled_scales(const PackedMatrix& matrix, int64_t row, float* scales);
/// The zero-points of one row, [groups_per_row]; the grid's symmetric zero where there are none.
void leveled_zeros(const PackedMatrix& matrix, int64_t row, int32_t* zeros);

constexpr FormatRow leveled_row(uint16_t id, std::string_view name, const Leveled* leveled) {
  FormatRow row;
  row.id = id;
  row.name = name;
  row.groups = row.channel = row.tensor = true;
  row.default_group = 64;
  row.scales = kFloatScales | scale_bit(ScaleType::kE8M0) | kIntegerScales;
  row.default_scale = ScaleType::kFloat16;
  row.parts = leveled_parts;
  row.prepare = leveled_prepare;
  row.needs_prepare = leveled_needs_prepare;
  row.encode = leveled_encode;
  row.decode = leveled_decode;
  row.detail = leveled;
  return row;
}

}  // namespace fewbit::formats
