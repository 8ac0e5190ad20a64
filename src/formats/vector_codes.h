#pragma once
// What kernels need to know of vector-quantized weights (vector_formats.cpp): a code stands for
// `dim` neighbouring weights, each the sum of one int8 entry from each book, times the scale of its
// group.

#include <cstdint>
#include <optional>

#include "formats/format.h"

namespace fewbit {

struct VectorForm {
  int64_t dim = 0;          ///< weights of a code: 2, 4 or 8
  int64_t books = 0;        ///< 1 to 3
  int bits = 0;             ///< of a code, 6 or 8
  int64_t group_elems = 0;  ///< weights that share a scale; the last group of a row may be shorter
};

/// Nothing for formats of another form.
std::optional<VectorForm> vector_form(const Format& format, int64_t cols);

/// The books of a matrix in such a format, [books][2^bits][dim].
const int8_t* vector_books(const PackedMatrix& matrix);

/// One of its rows: codes [books][ceil(cols / dim)], scales [groups_per_row].
void vector_row(const PackedMatrix& matrix, int64_t row, uint8_t* codes, float* scales);

}  // namespace fewbit
