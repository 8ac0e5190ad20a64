#pragma once
// What kernels need to know of sherry1.25 (sherry_formats.cpp): a weight is the scale of its group
// times -1, 0 or 1, and a code of 5 bits stands for four of those at once.

#include <array>
#include <cstdint>

#include "formats/format.h"

namespace fewbit::formats {

/// Neighbours in a row that share a code.
inline constexpr int64_t kSherryQuad = 4;

/// [code][position]: -1, 0 or 1.
using SherryPatterns = std::array<std::array<int8_t, kSherryQuad>, 32>;
const SherryPatterns& sherry_patterns();

bool is_sherry(const Format& format);

/// One row of a matrix in sherry1.25: codes [ceil(cols / 4)], scales [groups_per_row].
void sherry_row(const PackedMatrix& matrix, int64_t row, uint8_t* codes, float* scales);

/// The same weights in the format `ternary`, 2 bits each, under the same scales.
PackedMatrix sherry_as_ternary(const PackedMatrix& matrix);

}  // namespace fewbit::formats
