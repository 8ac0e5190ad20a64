#pragma once
// The definitions of int8_output.h and int8_gemm.h as the plainest code there is: what every kernel
// is tested against. Never optimised.

#include <span>

#include "kernels/int8_gemm/int8_gemm.h"

namespace fewbit {

/// Element i of an 8-bit array.
int32_t byte_at(const void* data, int64_t i, DType type);

/// Stores the result of output channel `channel` for the sum `acc` as element `at` of `out`.
/// `residual` is the residual's value, `row_scale` null or the scale of the row.
void int8_output_reference(const Int8OutputSpec& spec, int64_t channel, int32_t acc,
                           int32_t residual, const float* row_scale, void* out, int64_t at);

void int8_gemm_reference(const Int8GemmSpec& spec, const void* b, int64_t b_stride,
                         std::span<const int32_t> bias, const Int8GemmCall& call);

}  // namespace fewbit
