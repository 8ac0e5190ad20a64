#pragma once
// Functions of whole rows: softmax and its logarithm, layer and RMS normalization. Sums run in
// kLanes single-precision chains; tolerances grow with the square root of the row. dst may be src
// except for the 8-bit softmax.

#include <cstdint>

#include "base/dtype.h"
#include "kernels/pointwise/qarith/qarith.h"

namespace fewbit::pointwise {

/// Each row of [rows, cols]: e^(x - max) / sum, or x - max - log sum. A row of -inf gives NaN.
void softmax(const float* src, float* dst, int64_t rows, int64_t cols);
void log_softmax(const float* src, float* dst, int64_t rows, int64_t cols);

/// The same along the middle of [outer, cols, inner].
void softmax_strided(const float* src, float* dst, int64_t outer, int64_t cols, int64_t inner,
                     bool logarithm);

/// y = (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias over each row of [rows,
/// cols]; scale, bias: [cols], bias may be nullptr. mean_out and inverse_out receive each row's
/// mean and reciprocal deviation unless nullptr.
void layer_norm(const float* src, float* dst, int64_t rows, int64_t cols, const float* scale,
                const float* bias, float epsilon, float* mean_out = nullptr,
                float* inverse_out = nullptr);

/// y = x / sqrt(mean(x^2) + epsilon) * scale.
void rms_norm(const float* src, float* dst, int64_t rows, int64_t cols, const float* scale,
              float epsilon);

/// Softmax of kUint8 or kInt8 codes: with m the row's largest code and
/// t[k] = float(e^(-k from.scale)), the result is quantize(t[m - q] / sum, to) as quantize.h has
/// it.
void softmax_quantized(DType type, const void* src, QAffine from, void* dst, QAffine to,
                       int64_t rows, int64_t cols);

}  // namespace fewbit::pointwise
