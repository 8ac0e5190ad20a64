#include "runtime/ops/matrix_product.h"

#include <algorithm>
#include <array>
#include <vector>

namespace fewbit::ops {
namespace {

constexpr int64_t kTileRows = 4;
constexpr int64_t kTileColumns = 8;

// A tile of c in registers: `rows` rows of a (k apart) times a packed panel of kTileColumns
// columns.
template <typename T, int64_t rows>
void tile(int64_t k, const T* a, const T* panel, std::array<T, kTileRows * kTileColumns>& acc) {
  std::array<T, static_cast<size_t>(rows * kTileColumns)> sum = {};
  for (int64_t p = 0; p < k; ++p) {
    for (int64_t r = 0; r < rows; ++r) {
      const T v = a[r * k + p];
      for (int64_t j = 0; j < kTileColumns; ++j) {
        sum[static_cast<size_t>(r * kTileColumns + j)] += v * panel[p * kTileColumns + j];
      }
    }
  }
  std::copy(sum.begin(), sum.end(), acc.begin());
}

// One row times the matrix: packing would cost more than the product.
template <typename T>
void row_product(int64_t n, int64_t k, const T* a, const T* b, T* c) {
  std::fill_n(c, n, T{0});
  for (int64_t p = 0; p < k; ++p) {
    const T v = a[p];
    for (int64_t j = 0; j < n; ++j) c[j] += v * b[p * n + j];
  }
}

}  // namespace

template <typename T>
void matrix_product(int64_t m, int64_t n, int64_t k, const T* a, const T* b, T* c) {
  if (m < kTileRows) {
    for (int64_t i = 0; i < m; ++i) row_product(n, k, a + i * k, b, c + i * n);
    return;
  }
  std::vector<T> panel(static_cast<size_t>(k * kTileColumns));
  std::array<T, kTileRows * kTileColumns> acc;
  for (int64_t j0 = 0; j0 < n; j0 += kTileColumns) {
    const int64_t columns = std::min(kTileColumns, n - j0);
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < kTileColumns; ++j) {
        panel[static_cast<size_t>(p * kTileColumns + j)] = j < columns ? b[p * n + j0 + j] : T{0};
      }
    }
    for (int64_t i0 = 0; i0 < m; i0 += kTileRows) {
      const int64_t rows = std::min(kTileRows, m - i0);
      if (rows == kTileRows) {
        tile<T, kTileRows>(k, a + i0 * k, panel.data(), acc);
      } else {
        for (int64_t r = 0; r < rows; ++r) {
          std::array<T, kTileRows * kTileColumns> one;
          tile<T, 1>(k, a + (i0 + r) * k, panel.data(), one);
          std::copy_n(one.begin(), kTileColumns, acc.begin() + r * kTileColumns);
        }
      }
      for (int64_t r = 0; r < rows; ++r) {
        std::copy_n(acc.begin() + r * kTileColumns, columns, c + (i0 + r) * n + j0);
      }
    }
  }
}

template void matrix_product<float>(int64_t, int64_t, int64_t, const float*, const float*, float*);
template void matrix_product<double>(int64_t, int64_t, int64_t, const double*, const double*,
                                     double*);
template void matrix_product<uint32_t>(int64_t, int64_t, int64_t, const uint32_t*, const uint32_t*,
                                       uint32_t*);
template void matrix_product<uint64_t>(int64_t, int64_t, int64_t, const uint64_t*, const uint64_t*,
                                       uint64_t*);

}  // namespace fewbit::ops
