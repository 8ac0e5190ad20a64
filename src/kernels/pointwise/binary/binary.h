#pragma once
// Arithmetic of two float tensors with broadcasting (broadcast/broadcast.h). Single operations,
// correctly rounded; min and max give NaN if either operand is NaN. pow is the C library's, with
// exponents 1, 2, 3, 1/2 and -1 done by the obvious operations when one value serves all.

#include <cstdint>

#include "kernels/pointwise/broadcast/broadcast.h"

namespace fewbit::pointwise {

enum class BinaryOp : uint8_t { kAdd, kSub, kMul, kDiv, kMin, kMax, kPow };
inline constexpr int kBinaryOpCount = 7;

/// dst may be a or b itself if that operand is not broadcast.
void binary(BinaryOp op, const BroadcastLoops& loops, const float* a, const float* b, float* dst);

/// dst = min(max(a + b, lo), hi) in one pass: a residual addition with its ReLU or ReLU6.
void add_clip(const BroadcastLoops& loops, const float* a, const float* b, float* dst, float lo,
              float hi);

/// Batch normalization folded to y = x * scale[c] + shift[c], one rounding; dst may be src.
/// [n, channels, pixels] and [rows, channels].
void scale_shift_planes(const float* src, float* dst, int64_t n, int64_t channels, int64_t pixels,
                        const float* scale, const float* shift);
void scale_shift_channels_last(const float* src, float* dst, int64_t rows, int64_t channels,
                               const float* scale, const float* shift);

}  // namespace fewbit::pointwise
