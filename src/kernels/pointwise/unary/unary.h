#pragma once
// The functions of unary_op.h over spans of floats. Accuracy against the definition in double:
// 4 units in the last place (1e-6 relative where exp's argument is itself a rounded product; the
// far negative side of gelu, below 1e-10, 2e-5), and an absolute floor of 1e-36. NaN in, NaN out.

#include <cstdint>

#include "kernels/pointwise/unary_op.h"

namespace fewbit::pointwise {

/// dst[i] = f(src[i]); dst may be src. Shared between OpenMP threads.
void unary(const Unary& f, const float* src, float* dst, int64_t n);

}  // namespace fewbit::pointwise
