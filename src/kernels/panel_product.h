#pragma once
// The loop around kernels that multiply panels of sixteen rows of weights with a few rows of
// activations: threads, blocks that stay in the cache, the panel that sticks out of y, the bias.

#include <cstdint>
#include <functional>
#include <span>

namespace fewbit {

/// y = x w^T + bias with w [n, k].
struct ProductCall {
  int64_t m = 0;
  const float* x = nullptr;  ///< [m, k], rows x_stride elements apart
  int64_t x_stride = 0;      ///< 0: k
  float* y = nullptr;        ///< [m, n], rows y_stride elements apart; may not overlap x
  int64_t y_stride = 0;      ///< 0: n
};

struct PanelProduct {
  static constexpr int64_t kPanelRows = 16;  ///< of weights
  static constexpr int kMaxRows = 8;         ///< of activations, in one go

  int64_t n = 0;
  int64_t k = 0;
  int64_t panel_bytes = 0;
  std::span<const float> bias;  ///< [n] or empty

  /// What a kernel is asked for: panels [panel, panel + count) times rows [row, row + rows) of
  /// activations.
  struct Part {
    int64_t panel, count;
    int64_t row;
    int rows;
    float* y;  ///< [rows, 16 * count], rows y_stride elements apart
    int64_t y_stride;
  };

  int64_t panel_count() const { return (n + kPanelRows - 1) / kPanelRows; }

  /// First `set_row(m)` for every row of activations, then `multiply` for all parts; both from
  /// several threads.
  void run(const ProductCall& call, int threads, const std::function<void(int64_t)>& set_row,
           const std::function<void(const Part&)>& multiply) const;
};

}  // namespace fewbit
