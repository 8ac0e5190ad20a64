#include "formats/affine.h"

#include <algorithm>
#include <vector>

#include "formats/gguf/block_codec.h"
#include "formats/leveled.h"

namespace fewbit {
namespace {

namespace gguf = formats::gguf;
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

// Blocks side by side; the last one may stick out of the row.
void affine_blocks(const PackedMatrix& matrix, const gguf::BlockCodec& codec, int64_t row,
                   uint8_t* codes, float* scales, float* offsets) {
  const Tensor& blocks = matrix.parts[0];
  const uint8_t* block = blocks.data<uint8_t>() + row * blocks.dim(1);
  const auto per_block = static_cast<size_t>(codec.elems / codec.affine_elems);
  std::vector<uint8_t> q(static_cast<size_t>(codec.elems));
  std::vector<float> s(per_block), o(per_block);
  for (int64_t at = 0; at < matrix.cols; at += codec.elems, block += codec.block_bytes) {
    codec.affine(block, q.data(), s.data(), o.data());
    const int64_t count = std::min<int64_t>(codec.elems, matrix.cols - at);
    const int64_t groups = (count + codec.affine_elems - 1) / codec.affine_elems;
    codes = std::copy_n(q.begin(), count, codes);
    scales = std::copy_n(s.begin(), groups, scales);
    offsets = std::copy_n(o.begin(), groups, offsets);
  }
}

}  // namespace

std::optional<AffineForm> affine_form(const Format& format, int64_t cols) {
  if (const gguf::BlockCodec* codec = formats::gguf::block_codec_of(format)) {
    if (codec->affine_bits == 0 || codec->levels != nullptr) return std::nullopt;
    AffineForm form;
    form.bits = codec->affine_bits;
    form.group_elems = codec->affine_elems;
    if (codec->affine_zero >= 0) form.zero = codec->affine_zero;
    return form;
  }
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
  if (const gguf::BlockCodec* codec = formats::gguf::block_codec_of(matrix.format)) {
    return affine_blocks(matrix, *codec, row, codes, scales, offsets);
  }
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
