#pragma once
// The families that make up gguf_rows().

#include <span>

#include "formats/format.h"

namespace fewbit::formats::gguf {

std::span<const FormatRow> simple_rows();   ///< q4_0, q4_1, q5_0, q5_1, q8_0
std::span<const FormatRow> affine_rows();   ///< q2_K, q4_K, q5_K
std::span<const FormatRow> scaled_rows();   ///< q3_K, q6_K
std::span<const FormatRow> level_rows();    ///< iq4_nl, iq4_xs
std::span<const FormatRow> ternary_rows();  ///< tq1_0, tq2_0

}  // namespace fewbit::formats::gguf
