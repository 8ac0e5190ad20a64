#pragma once
// Activations on their way into integer products: a row of floats becomes int8 under one scale,
//
//   s = max_k |x[k]| / 127,   q[k] = rne(x[k] / s) in [-127, 127].
//
// The division is by multiplication with 1 / s, as the tests of every family have it. A row of
// zeros, or of numbers so small that s would be subnormal, has scale 0 and codes 0; a row that
// holds NaN or infinity has scale NaN and codes 0, so that everything it is multiplied with is NaN.

#include <cstdint>

namespace fewbit {

/// Writes q [count] and returns s.
float quantize_row(const float* x, int64_t count, int8_t* q);

/// Sums of q [count] over groups of `group_elems`, the last of which may be shorter:
/// sums [ceil(count / group_elems)].
void sum_groups(const int8_t* q, int64_t count, int64_t group_elems, int32_t* sums);

}  // namespace fewbit
