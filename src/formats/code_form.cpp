#include "formats/code_form.h"

#include <algorithm>

#include "formats/affine.h"
#include "formats/gguf/block_codec.h"
#include "formats/leveled.h"

namespace fewbit {

using formats::Leveled;
using formats::gguf::BlockCodec;

std::optional<CodeForm> code_form(const Format& format, int64_t cols) {
  CodeForm form;
  if (const std::optional<AffineForm> affine = affine_form(format, cols)) {
    form.bits = affine->bits;
    form.group_elems = affine->group_elems;
    form.zero = affine->zero;
    return form;
  }
  form.zero = 0;
  if (const BlockCodec* codec = formats::gguf::block_codec_of(format)) {
    if (codec->levels == nullptr) return std::nullopt;
    form.bits = codec->affine_bits;
    form.group_elems = codec->affine_elems;
    form.levels.assign(codec->levels, codec->levels + (size_t{1} << form.bits));
    return form;
  }
  const Leveled* leveled = formats::leveled_of(format);
  if (leveled == nullptr) return std::nullopt;
  form.bits = leveled->grid.bits;
  form.group_elems = format.group_elems > 0 ? format.group_elems : cols;
  const std::array<float, 256> levels = level_values(leveled->grid);
  form.levels.assign(levels.begin(), levels.begin() + (size_t{1} << form.bits));
  return form;
}

void code_row(const PackedMatrix& matrix, int64_t row, uint8_t* codes, float* scales,
              float* offsets) {
  const Format& format = matrix.format;
  // Blocks of GGUF come apart in the same way, whatever their codes stand for.
  if (affine_form(format, matrix.cols) || formats::gguf::block_codec_of(format) != nullptr) {
    return affine_row(matrix, row, codes, scales, offsets);
  }
  formats::leveled_codes(matrix, row, codes);
  formats::leveled_scales(matrix, row, scales);
  const float unit = formats::leveled_of(format)->grid.unit;
  const int64_t groups = groups_per_row(format, matrix.cols);
  for (int64_t g = 0; g < groups; ++g) scales[g] *= unit;
  std::fill_n(offsets, groups, 0.0F);
}

float code_row_unit(const PackedMatrix& matrix, int64_t row) {
  const Format& format = matrix.format;
  if (formats::leveled_of(format) == nullptr) return 1;
  if (format.scale == ScaleType::kE4M3) return matrix.parts[2].data<float>()[0];
  if (!is_integer_scale(format.scale) || format.super_elems != Format::kPerChannel) return 1;
  return matrix.parts[2].data<float>()[row];
}

}  // namespace fewbit
