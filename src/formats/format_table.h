#pragma once
// The rows that make up the table: each is defined in the file of its family.

#include <span>

#include "formats/format.h"

namespace fewbit::formats {

std::span<const FormatRow> half_rows();        ///< fp16, bf16
std::span<const FormatRow> integer_rows();     ///< int8 .. int2, uint8 .. uint2
std::span<const FormatRow> float_rows();       ///< fp8, fp6, fp4, MX, NVFP4
std::span<const FormatRow> nonuniform_rows();  ///< nf4, powers of two and their sums
std::span<const FormatRow> ternary_rows();     ///< ternary, binary
std::span<const FormatRow> gguf_rows();        ///< q4_0 .. tq2_0: the blocks of GGUF files
std::span<const FormatRow> codebook_rows();    ///< codebook2, codebook3, codebook4
std::span<const FormatRow> dual_rows();        ///< dual3, dual4
std::span<const FormatRow> vector_rows();      ///< vq2_1x6 .. vq8_3x8
std::span<const FormatRow> sherry_rows();      ///< sherry1.25

}  // namespace fewbit::formats
