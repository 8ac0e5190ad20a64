#include "formats/affine.h"

#include <vector>

#include "formats/leveled.h"

namespace fewbit {
namespace {

using formats::Leveled;

// Tables whose levels rise in equal steps with their codes are integers, too (ternary, binary).
std::optional<float> step_of(const LevelGrid& grid) {
  if (grid.kind == LevelGrid::Kind::kInteger) return 1.0F;
  if (grid.kind != LevelGrid::Kind::kTable) return std::nullopt;
  const float step = grid.levels[1] - grid.levels[0];
  for (size_t i = 0; i < static_cast<size_t>(grid.count); ++i) {
    if (grid.codes[i] != i || grid.levels[i] != grid.levels[0] + step * static_cast<float>(i)) {
      return std::nullopt;
    }
  }
  return step;
}

}  // namespace

std::optional<AffineForm> affine_form(const Format& format, int64_t cols) {
  const Leveled* leveled = formats::leveled_of(format);
  if (leveled == nullptr) return std::nullopt;
  const LevelGrid& grid = leveled->grid;
  if (!step_of(grid)) return std::nullopt;
  AffineForm form;
  form.bits = grid.bits;
  form.group_elems = format.group_elems > 0 ? format.group_elems : cols;
  if (grid.kind == LevelGrid::Kind::kInteger && !grid.zero_point) form.zero = grid.symmetric_zero();
  if (grid.kind == LevelGrid::Kind::kTable && grid.count == 3) form.zero = 1;
  return form;
}

void affine_row(const PackedMatrix& matrix, int64_t row, uint8_t* codes, float* scales,
                float* offsets) {
  const LevelGrid& grid = formats::leveled_of(matrix.format)->grid;
  const int64_t groups = groups_per_row(matrix.format, matrix.cols);
  formats::leveled_codes(matrix, row, codes);
  formats::leveled_scales(matrix, row, scales);
  std::vector<int32_t> zeros(static_cast<size_t>(groups));
  formats::leveled_zeros(matrix, row, zeros.data());
  for (int64_t g = 0; g < groups; ++g) {
    const float scale = scales[g] * grid.unit;
    const bool table = grid.kind == LevelGrid::Kind::kTable;
    scales[g] = table ? scale * (grid.levels[1] - grid.levels[0]) : scale;
    offsets[g] =
        table ? scale * grid.levels[0] : -scale * static_cast<float>(zeros[static_cast<size_t>(g)]);
  }
}

}  // namespace fewbit
