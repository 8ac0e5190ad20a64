#include "runtime/layout.h"

#include <algorithm>
#include <cstring>

namespace fewbit {
namespace {

// Transposes [rows, columns] -> [columns, rows] for each of `batch` matrices, in square blocks that
// stay in the first-level cache on both sides.
template <typename T>
void transpose_blocks(const T* source, T* target, int64_t batch, int64_t rows, int64_t columns,
                      int threads) {
  constexpr int64_t kBlock = 32;
  int64_t row_blocks = (rows + kBlock - 1) / kBlock;
  int64_t work = batch * row_blocks;
  bool parallel = threads > 1 && batch * rows * columns > (1 << 16);
#pragma omp parallel for schedule(static) num_threads(threads) if (parallel)
  for (int64_t w = 0; w < work; ++w) {
    const T* s = source + (w / row_blocks) * rows * columns;
    T* t = target + (w / row_blocks) * rows * columns;
    int64_t r0 = (w % row_blocks) * kBlock;
    int64_t r1 = std::min(rows, r0 + kBlock);
    for (int64_t c0 = 0; c0 < columns; c0 += kBlock) {
      int64_t c1 = std::min(columns, c0 + kBlock);
      for (int64_t c = c0; c < c1; ++c) {
        for (int64_t r = r0; r < r1; ++r) t[c * rows + r] = s[r * columns + c];
      }
    }
  }
}

}  // namespace

bool same_bytes(std::span<const int64_t> dims, Layout a, Layout b) {
  if (a == b || dims.size() < 3) return true;
  int64_t spatial = 1;
  for (size_t i = 2; i < dims.size(); ++i) spatial *= dims[i];
  return spatial <= 1 || dims[1] <= 1;
}

void convert_layout(const void* source, Layout from, void* target, Layout to,
                    std::span<const int64_t> dims, int element_bytes, int threads) {
  int64_t elements = elements_of(dims);
  if (elements == 0) return;
  if (same_bytes(dims, from, to)) {
    std::memcpy(target, source, static_cast<size_t>(elements * element_bytes));
    return;
  }
  int64_t batch = dims[0];
  int64_t channels = dims[1];
  int64_t spatial = elements / batch / channels;
  int64_t rows = from == Layout::kPlain ? channels : spatial;
  int64_t columns = from == Layout::kPlain ? spatial : channels;
  auto run = [&](auto tag) {
    using T = decltype(tag);
    transpose_blocks(static_cast<const T*>(source), static_cast<T*>(target), batch, rows, columns,
                     threads);
  };
  switch (element_bytes) {
    case 1:
      return run(uint8_t{});
    case 2:
      return run(uint16_t{});
    case 4:
      return run(uint32_t{});
    default:
      FEWBIT_CHECK(element_bytes == 8, element_bytes);
      return run(uint64_t{});
  }
}

}  // namespace fewbit
