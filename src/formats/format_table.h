#pragma once
// The rows that make up the table: each is defined in the file of its family.

#include <span>

#include "formats/format.h"

namespace fewbit::formats {

std::span<const FormatRow> half_rows();      ///< fp16, bf16
std::span<const FormatRow> codebook_rows();  ///< codebook2, codebook3, codebook4
std::span<const FormatRow> dual_rows();      ///< dual3, dual4
std::span<const FormatRow> vector_rows();    ///< vq2_1x6 .. vq8_3x8
std::span<const FormatRow> sherry_rows();    ///< sherry1.25

}  // namespace fewbit::formats
