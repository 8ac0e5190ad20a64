#include "kernels/pointwise/reduce/reduce.h"

#include <algorithm>
#include <cmath>

#include "kernels/pointwise/vec/parallel.h"
#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

struct ReduceRow {
  float (*row)(const float*, int64_t n);
  void (*columns)(const float*, float*, int64_t count, int64_t inner, int64_t begin, int64_t end);
};
struct ReduceTable {
  ReduceRow of[kReduceOpCount];
};

}  // namespace
}  // namespace fewbit::pointwise

#define FEWBIT_LOOPS "kernels/pointwise/reduce/reduce_loops.h"
#include "kernels/pointwise/vec/variants.h"

namespace fewbit::pointwise {

void reduce(ReduceOp op, const float* src, float* dst, int64_t outer, int64_t count,
            int64_t inner) {
  const ReduceRow& run =
      pick(scalar::kTable, avx2::kTable, avx512::kTable).of[static_cast<size_t>(op)];
  if (inner == 1) {
    parallel_rows(outer, count, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) dst[o] = run.row(src + o * count, count);
    });
  } else {
    constexpr int64_t kLanes = 64;  // lanes of one piece of work: a whole line per row
    const int64_t pieces = (inner + kLanes - 1) / kLanes;
    parallel_rows(outer * pieces, count * std::min(inner, kLanes), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t o = i / pieces, first = i % pieces * kLanes;
        run.columns(src + o * count * inner, dst + o * inner, count, inner, first,
                    std::min(inner, first + kLanes));
      }
    });
  }
  if (op == ReduceOp::kMean)
    for (int64_t i = 0; i < outer * inner; ++i) dst[i] /= static_cast<float>(count);
}

}  // namespace fewbit::pointwise
