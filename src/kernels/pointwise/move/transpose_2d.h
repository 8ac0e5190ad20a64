#pragma once
// The inner kernel of every permutation: dst[c * dst_stride + r] = src[r * src_stride + c] for
// r < rows, c < cols, strides in elements.

#include <cstdint>

namespace fewbit::pointwise {

using Transpose2d = void (*)(const void* src, int64_t src_stride, void* dst, int64_t dst_stride,
                             int64_t rows, int64_t cols);

/// The kernel for an element size of 1, 2, 4 or 8 bytes, or nullptr.
Transpose2d transpose_2d_for(int64_t elem_bytes);

/// Three planes of floats to triples: dst[3 p + c] = src[c * plane + p] for p < pixels.
void interleave3(const float* src, int64_t plane, float* dst, int64_t pixels);

}  // namespace fewbit::pointwise
