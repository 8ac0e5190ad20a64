#include "kernels/panel_product.h"

#include <omp.h>

#include <algorithm>
#include <array>

namespace fewbit {
namespace {

// `part` may reach past row n of the weights: the panel that does is multiplied to a buffer.
void multiply_within(const PanelProduct& product, PanelProduct::Part part,
                     const std::function<void(const PanelProduct::Part&)>& multiply) {
  constexpr int64_t kPanelRows = PanelProduct::kPanelRows;
  const int64_t whole = product.n / kPanelRows;
  const int64_t end = part.panel + part.count;
  PanelProduct::Part inside = part;
  inside.count = std::min(end, whole) - part.panel;
  if (inside.count > 0) multiply(inside);
  if (end <= whole) return;
  std::array<float, PanelProduct::kMaxRows * kPanelRows> last;
  multiply({whole, 1, part.row, part.rows, last.data(), kPanelRows});
  for (int64_t i = 0; i < part.rows; ++i) {
    std::copy_n(last.data() + i * kPanelRows, product.n - whole * kPanelRows,
                part.y + i * part.y_stride + (whole - part.panel) * kPanelRows);
  }
}

}  // namespace

void PanelProduct::run(const ProductCall& call, int threads,
                       const std::function<void(int64_t)>& set_row,
                       const std::function<void(const Part&)>& multiply) const {
  // Waking a thread takes microseconds, in which another multiplies this much.
  constexpr int64_t kMacsPerThread = int64_t{1} << 18;
  threads = static_cast<int>(
      std::clamp<int64_t>(call.m * n * k / kMacsPerThread, 1, std::max(threads, 1)));
  const int64_t y_stride = call.y_stride > 0 ? call.y_stride : n;
  const int64_t panels = panel_count();
  // Panels that stay in the second-level cache while all rows of x pass.
  constexpr int64_t kBlockBytes = int64_t{256} << 10;
  const int64_t block = call.m <= kMaxRows ? (panels + threads - 1) / threads
                                           : std::max<int64_t>(kBlockBytes / panel_bytes, 1);
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (int64_t m = 0; m < call.m; ++m) set_row(m);
#pragma omp for schedule(static)
    for (int64_t p = 0; p < panels; p += block) {
      const int64_t count = std::min(block, panels - p);
      for (int64_t m = 0; m < call.m; m += kMaxRows) {
        const int rows = static_cast<int>(std::min<int64_t>(kMaxRows, call.m - m));
        multiply_within(
            *this, {p, count, m, rows, call.y + m * y_stride + p * kPanelRows, y_stride}, multiply);
      }
    }
    if (!bias.empty()) {
#pragma omp for schedule(static)
      for (int64_t m = 0; m < call.m; ++m) {
        for (int64_t i = 0; i < n; ++i) {
          call.y[m * y_stride + i] += bias[static_cast<size_t>(i)];
        }
      }
    }
  }
}

}  // namespace fewbit
