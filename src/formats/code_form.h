#pragma once
// The formats in which a weight is a function of its code and its group,
//
//   w = scale[g] * level(code) + offset[g],   code in [0, 2^bits - 1],
//
// whatever they look like in storage: those of affine.h, whose level is the code itself, and those
// whose codes name levels of a table that the whole matrix shares (fp4, nf4, mxfp4, nvfp4, fp8,
// logarithmic levels, GGUF's iq4). Kernels take weights in this form.

#include <optional>
#include <vector>

#include "formats/format.h"

namespace fewbit {

struct CodeForm {
  int bits = 0;             ///< of a code
  int64_t group_elems = 0;  ///< elements that share scale and offset, at most; the last group of a
                            ///< row may be shorter
  /// Set if offset = -zero * scale in every group.
  std::optional<int> zero;
  /// Level of each code [2^bits]; empty: the code itself. Codes that stand for nothing are 0,
  /// infinity or NaN.
  std::vector<float> levels;
};

/// Nothing for formats of another form.
std::optional<CodeForm> code_form(const Format& format, int64_t cols);

/// One row of a matrix whose format has this form: codes [cols], scales and offsets [groups].
void code_row(const PackedMatrix& matrix, int64_t row, uint8_t* codes, float* scales,
              float* offsets);

/// What all scales of a row have been multiplied by: the float that a row's integer scales stand
/// under, the float of the matrix above e4m3 scales; 1 for other formats.
float code_row_unit(const PackedMatrix& matrix, int64_t row);

}  // namespace fewbit
