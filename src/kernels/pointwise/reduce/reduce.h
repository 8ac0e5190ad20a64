#pragma once
// Reductions of [outer, count, inner] along the middle: over rows (inner = 1), over pixels of a
// channels-last tensor (count = pixels, inner = channels), or any axis between.
// Sums run in single precision in several chains of at most 64 additions, whose results are added
// in turn: the error grows with the square root of the count. Max and min pass over NaN unless all
// values are NaN; an empty count gives 0, NaN (mean), -inf, +inf.

#include <cstdint>

namespace fewbit::pointwise {

enum class ReduceOp : uint8_t { kSum, kMean, kMax, kMin, kSumSquares, kSumAbs };
inline constexpr int kReduceOpCount = 6;

/// dst: [outer, inner].
void reduce(ReduceOp op, const float* src, float* dst, int64_t outer, int64_t count, int64_t inner);

}  // namespace fewbit::pointwise
