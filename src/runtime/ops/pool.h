#pragma once
// The windows of a pool, one after the other: what MaxPool, AveragePool, LpPool and the quantized
// average share.

#include <algorithm>

#include "runtime/ops/window.h"

namespace fewbit::ops {

/// The part of a window that lies inside the input: elements at
/// origin + k * dilation for first <= k < last in each dimension.
struct Taps {
  Window::Extent origin, first, last;

  /// Calls f(offset in the input plane) for each, in row-major order.
  template <typename F>
  void for_each(const Window& w, const F& f) const {
    for (int64_t kz = first[0]; kz < last[0]; ++kz) {
      const int64_t iz = origin[0] + kz * w.dilation[0];
      for (int64_t ky = first[1]; ky < last[1]; ++ky) {
        const int64_t iy = origin[1] + ky * w.dilation[1];
        const int64_t row = (iz * w.in[1] + iy) * w.in[2] + origin[2];
        for (int64_t kx = first[2]; kx < last[2]; ++kx) f(row + kx * w.dilation[2]);
      }
    }
  }
  int64_t count() const {
    int64_t n = 1;
    for (size_t d = 0; d < 3; ++d) n *= std::max<int64_t>(0, last[d] - first[d]);
    return n;
  }
};

/// Kernel elements k with low <= origin + k * dilation < high.
Range kernel_range(const Window& w, size_t dim, int64_t origin, int64_t low, int64_t high);

/// Elements of the window at `origin` that lie inside the padded input (count_include_pad).
int64_t padded_count(const Window& w, const Window::Extent& origin);

/// Calls f(output index, Taps) for each window of a plane.
template <typename F>
void for_each_window(const Window& w, const F& f) {
  int64_t index = 0;
  Taps taps;
  const auto place = [&](size_t d, int64_t o) {
    taps.origin[d] = o * w.stride[d] - w.pad[d];
    const Range r = kernel_range(w, d, taps.origin[d], 0, w.in[d]);
    taps.first[d] = r.first;
    taps.last[d] = r.last;
  };
  for (int64_t oz = 0; oz < w.out[0]; ++oz) {
    place(0, oz);
    for (int64_t oy = 0; oy < w.out[1]; ++oy) {
      place(1, oy);
      for (int64_t ox = 0; ox < w.out[2]; ++ox) {
        place(2, ox);
        f(index++, taps);
      }
    }
  }
}

/// Reads the window of a pool over input i [N, C, spatial...]; kernel_shape is an attribute.
Result<Window> read_pool(const OpContext& ctx, size_t i);

/// The averages of one plane's windows, summed in double: store(out, sum of (x - zero) / count).
/// The count of a window is count(taps); where it is 0 the average is 0.
template <typename T, typename Count, typename Store>
void average_plane(const Window& w, const T* x, double zero, const Count& count,
                   const Store& store) {
  for_each_window(w, [&](int64_t o, const Taps& taps) {
    double sum = 0;
    taps.for_each(w, [&](int64_t i) { sum += static_cast<double>(x[i]) - zero; });
    const int64_t n = count(taps);
    store(o, n > 0 ? sum / static_cast<double>(n) : 0.0);
  });
}

}  // namespace fewbit::ops
