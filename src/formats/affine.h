#pragma once
// The formats in which a weight is an affine function of its code within a group,
//
//   w = scale[g] * code + offset[g],   code in [0, 2^bits - 1],
//
// whatever they look like in storage: integers with and without zero-points, under any scale, and
// GGUF's blocks of integers (all but iq4).
// Kernels take weights in this form, so one kernel serves all of them.

#include <optional>

#include "formats/format.h"

namespace fewbit {

struct AffineForm {
  int bits = 0;             ///< of a code
  int64_t group_elems = 0;  ///< elements that share scale and offset, at most; the last group of a
                            ///< row may be shorter
  /// Set if offset = -zero * scale in every group.
  std::optional<int> zero;
};

/// Nothing for formats that are not affine.
std::optional<AffineForm> affine_form(const Format& format, int64_t cols);

/// One row of a matrix whose format is affine: codes [cols], scales and offsets [groups].
void affine_row(const PackedMatrix& matrix, int64_t row, uint8_t* codes, float* scales,
                float* offsets);

}  // namespace fewbit
