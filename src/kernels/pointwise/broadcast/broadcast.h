#pragma once
// Numpy's broadcasting of two row-major operands, collapsed to as few loops as possible: dimensions
// that both operands walk evenly become one.

#include <algorithm>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "kernels/pointwise/vec/parallel.h"

namespace fewbit::pointwise {

struct BroadcastLoops {
  static constexpr int kMaxRank = 12;
  int rank = 0;                     ///< loops, outermost first; the last one is the inner
  int64_t extent[kMaxRank] = {};    ///< 1 or more each (or one loop of 0 for an empty result)
  int64_t a_stride[kMaxRank] = {};  ///< elements; 0 where the operand is repeated
  int64_t b_stride[kMaxRank] = {};  ///< the inner loop's strides are 0 or 1
  int64_t elems = 1;                ///< of the result
};

/// kBadInput if the shapes do not broadcast; kUnsupported above kMaxRank collapsed loops.
Result<BroadcastLoops> collapse_broadcast(std::span<const int64_t> a_dims,
                                          std::span<const int64_t> b_dims);

/// run(a, b, dst, n, a_step, b_step) on pieces of the inner loop: offsets in elements, steps 0
/// or 1. Threads share the pieces.
template <typename Run>
void for_each_piece(const BroadcastLoops& loops, Run&& run) {
  const int last = loops.rank - 1;
  const int64_t inner = loops.extent[last];
  if (loops.elems == 0) return;
  const int64_t a_step = loops.a_stride[last], b_step = loops.b_stride[last];
  if (loops.rank == 1) {
    parallel_elems(inner, [&](int64_t begin, int64_t end) {
      run(begin * a_step, begin * b_step, begin, end - begin, a_step, b_step);
    });
    return;
  }
  parallel_rows(loops.elems / inner, inner, [&](int64_t begin, int64_t end) {
    int64_t index[BroadcastLoops::kMaxRank] = {};
    int64_t a = 0, b = 0, rest = begin;
    for (int d = last - 1; d >= 0; --d) {
      index[d] = rest % loops.extent[d];
      rest /= loops.extent[d];
      a += index[d] * loops.a_stride[d];
      b += index[d] * loops.b_stride[d];
    }
    for (int64_t row = begin; row < end; ++row) {
      run(a, b, row * inner, inner, a_step, b_step);
      for (int d = last - 1; d >= 0; --d) {
        a += loops.a_stride[d];
        b += loops.b_stride[d];
        if (++index[d] < loops.extent[d]) break;
        a -= loops.extent[d] * loops.a_stride[d];
        b -= loops.extent[d] * loops.b_stride[d];
        index[d] = 0;
      }
    }
  });
}

}  // namespace fewbit::pointwise
