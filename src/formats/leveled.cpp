#include "formats/leveled.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "formats/code_planes.h"

namespace fewbit::formats {

const Leveled* leveled_of(const Format& format) {
  if (format.row == nullptr || format.row->decode != leveled_decode) return nullptr;
  return static_cast<const Leveled*>(format.row->detail);
}

void leveled_parts(const Format& format, int64_t rows, int64_t cols, std::vector<PartSpec>& out) {
  const Leveled& f = *leveled_of(format);
  out.push_back({"codes", DType::kUint8, {rows, packed_row_bytes(f.packing, cols, f.grid.bits)}});
  const int64_t groups = groups_per_row(format, cols);
  Dims per_group = format.group_elems > 0                      ? Dims{rows, groups}
                   : format.group_elems == Format::kPerChannel ? Dims{rows}
                                                               : Dims{1};
  if (is_integer_scale(format.scale)) {
    out.push_back({"scales", DType::kUint8, {rows, plane_bytes(groups, bits_of(format.scale))}});
    if (format.super_elems == Format::kPerChannel) {
      out.push_back({"super_scales", DType::kFloat32, {rows}});
    } else {
      const int64_t supers = (cols + format.super_elems - 1) / format.super_elems;
      out.push_back({"super_scales", DType::kFloat16, {rows, supers}});
    }
  } else {
    out.push_back({"scales", storage_of(format.scale), per_group});
  }
  if (format.scale == ScaleType::kE4M3) out.push_back({"tensor_scale", DType::kFloat32, {1}});
  if (f.grid.zero_point) {
    const bool grouped = format.group_elems > 0;
    out.push_back({"zeros", DType::kUint8,
                   grouped ? Dims{rows, plane_bytes(groups, f.grid.bits)} : per_group});
  }
}

void leveled_codes(const PackedMatrix& matrix, int64_t row, uint8_t* codes) {
  const Leveled& f = *leveled_of(matrix.format);
  const Tensor& packed = matrix.parts[0];
  unpack_row(f.packing, packed.data<uint8_t>() + row * packed.dim(1), matrix.cols, f.grid.bits,
             codes);
}

void leveled_scales(const PackedMatrix& matrix, int64_t row, float* scales) {
  const Format& format = matrix.format;
  const int64_t groups = groups_per_row(format, matrix.cols);
  const Tensor& stored = matrix.parts[1];
  if (is_integer_scale(format.scale)) {
    std::vector<uint8_t> codes(static_cast<size_t>(groups));
    unpack_planes(stored.data<uint8_t>() + row * stored.dim(1), groups, bits_of(format.scale),
                  codes.data());
    const Tensor& supers = matrix.parts[2];
    const bool per_row = format.super_elems == Format::kPerChannel;
    const int64_t per_super = per_row ? groups : format.super_elems / format.group_elems;
    const int64_t first = per_row ? row : row * supers.dim(1);
    const ScaleType type = per_row ? ScaleType::kFloat32 : ScaleType::kFloat16;
    for (int64_t g = 0; g < groups; ++g) {
      scales[g] = load_scale(type, supers.raw(), first + g / per_super) *
                  static_cast<float>(codes[static_cast<size_t>(g)]);
    }
    return;
  }
  const int64_t first = format.group_elems == Format::kPerTensor ? 0 : row * groups;
  for (int64_t g = 0; g < groups; ++g) {
    scales[g] = load_scale(format.scale, stored.raw(), first + g);
  }
  if (format.scale != ScaleType::kE4M3) return;
  const float tensor_scale = matrix.parts[2].data<float>()[0];
  for (int64_t g = 0; g < groups; ++g) scales[g] *= tensor_scale;
}

void leveled_zeros(const PackedMatrix& matrix, int64_t row, int32_t* zeros) {
  const LevelGrid& grid = leveled_of(matrix.format)->grid;
  const int64_t groups = groups_per_row(matrix.format, matrix.cols);
  if (!grid.zero_point) {
    std::fill_n(zeros, groups, grid.symmetric_zero());
    return;
  }
  const Tensor& stored = matrix.parts.back();
  if (matrix.format.group_elems <= 0) {
    zeros[0] = stored.data<uint8_t>()[matrix.format.group_elems == Format::kPerTensor ? 0 : row];
    return;
  }
  std::vector<uint8_t> codes(static_cast<size_t>(groups));
  unpack_planes(stored.data<uint8_t>() + row * stored.dim(1), groups, grid.bits, codes.data());
  std::copy(codes.begin(), codes.end(), zeros);
}

void leveled_decode(const PackedMatrix& matrix, int64_t row_begin, int64_t row_end, float* out) {
  const LevelGrid& grid = leveled_of(matrix.format)->grid;
  const int64_t groups = groups_per_row(matrix.format, matrix.cols);
  const int64_t group = matrix.format.group_elems > 0 ? matrix.format.group_elems : matrix.cols;
  const std::array<float, 256> levels = level_values(grid);
  std::vector<uint8_t> codes(static_cast<size_t>(matrix.cols));
  std::vector<float> scales(static_cast<size_t>(groups));
  std::vector<int32_t> zeros(static_cast<size_t>(groups));
  for (int64_t row = row_begin; row < row_end; ++row, out += matrix.cols) {
    leveled_codes(matrix, row, codes.data());
    leveled_scales(matrix, row, scales.data());
    leveled_zeros(matrix, row, zeros.data());
    for (int64_t g = 0; g < groups; ++g) {
      const float scale = scales[static_cast<size_t>(g)] * grid.unit;
      const auto zero = static_cast<float>(grid.zero_point ? zeros[static_cast<size_t>(g)] : 0);
      for (int64_t j = g * group; j < std::min((g + 1) * group, matrix.cols); ++j) {
        out[j] = scale * (levels[codes[static_cast<size_t>(j)]] - zero);
      }
    }
  }
}

}  // namespace fewbit::formats
