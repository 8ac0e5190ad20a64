#pragma once
// Geometry of sliding windows, as ONNX's convolutions and pools define it.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "runtime/ops/dispatch.h"

namespace fewbit::ops {

/// True if a loop of that many inner operations (a product of extents) is worth a second thread.
template <typename... Extents>
bool worth_threads(Extents... extents) {
  return (1.0 * ... * static_cast<double>(extents)) >= 32768.0;
}

/// Error unless input i has exactly these dimensions; `what` names it in the message.
Status need_dims(const OpContext& ctx, size_t i, std::span<const int64_t> dims,
                 std::string_view what);

/// Error unless inputs i and j (if both are given) have the same element type.
Status need_same_type(const OpContext& ctx, size_t i, size_t j);

/// A sliding window over at most three spatial dimensions; fewer are the last ones, the others 1.
struct Window {
  using Extent = std::array<int64_t, 3>;
  int rank = 0;
  Extent in{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1};
  Extent pad{0, 0, 0}, pad_end{0, 0, 0}, out{1, 1, 1};

  static int64_t volume(const Extent& e) { return e[0] * e[1] * e[2]; }
  /// N, C and the `rank` output extents.
  Dims output_dims(int64_t batch, int64_t channels) const;
};

/// Output positions [first, last) of one dimension whose input position for kernel element k is
/// inside the input.
struct Range {
  int64_t first, last;
};
Range inside(const Window& w, size_t dim, int64_t k);

/// Reads kernel_shape (if `kernel` is empty, else only checks it), strides, dilations, pads and
/// auto_pad of a node, and computes the output extents as ONNX's Conv and pools define them.
Result<Window> read_window(const OpContext& ctx, std::span<const int64_t> in_spatial,
                           std::span<const int64_t> kernel, bool ceil_mode);

/// strides, dilations, kernel and pads only; `out` stays unset (ConvTranspose, MaxUnpool).
Result<Window> read_window_attributes(const OpContext& ctx, std::span<const int64_t> in_spatial,
                                      std::span<const int64_t> kernel);

}  // namespace fewbit::ops
