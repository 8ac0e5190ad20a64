#pragma once
// Splitting a pointwise kernel over threads: waking them costs a few microseconds, so small tensors
// stay on the caller's.

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace fewbit::pointwise {

/// Elements per thread below which another thread is not worth waking, for a kernel that streams
/// four bytes in and four out.
inline constexpr int64_t kGrainElems = 32768;

/// Calls body(begin, end) on disjoint ranges that cover [0, count), on as many threads as there are
/// `grain` units; ranges start at multiples of `multiple` (cache lines: no two threads write one).
template <typename Body>
void parallel_ranges(int64_t count, int64_t grain, int64_t multiple, Body&& body) {
  if (count <= 0) return;
  const int64_t wanted =
      std::min<int64_t>(omp_get_max_threads(), count / std::max<int64_t>(grain, 1));
  if (wanted <= 1 || omp_in_parallel()) {
    body(int64_t{0}, count);
    return;
  }
  const int64_t units = (count + multiple - 1) / multiple;
#pragma omp parallel num_threads(static_cast <int>(wanted))
  {
    const int64_t id = omp_get_thread_num(), all = omp_get_num_threads();
    const int64_t begin = units * id / all * multiple;
    const int64_t end = std::min(count, units * (id + 1) / all * multiple);
    if (begin < end) body(begin, end);
  }
}

/// Spans of elements, split at multiples of 64.
template <typename Body>
void parallel_elems(int64_t count, Body&& body) {
  parallel_ranges(count, kGrainElems, 64, static_cast<Body&&>(body));
}

/// Rows of `row_elems` elements each.
template <typename Body>
void parallel_rows(int64_t rows, int64_t row_elems, Body&& body) {
  parallel_ranges(rows, std::max<int64_t>(1, kGrainElems / std::max<int64_t>(1, row_elems)), 1,
                  static_cast<Body&&>(body));
}

}  // namespace fewbit::pointwise
