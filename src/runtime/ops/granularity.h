#pragma once
// Which scale belongs to which element: per tensor, per axis, or per block along an axis (ONNX's
// QuantizeLinear and DequantizeLinear).

#include <algorithm>

#include "runtime/ops/dispatch.h"

namespace fewbit::ops {

/// The data as [outer, length, inner] around the quantized axis. The scale of element (o, a, i) is
/// number o * outer_step + a / block * axis_step + i * inner_step.
struct Granularity {
  int64_t outer = 1, length = 1, inner = 1;
  int64_t block = 1;
  int64_t outer_step = 0, axis_step = 0, inner_step = 0;

  /// Calls f(first element, count, first scale, scale step) for runs of neighbouring elements; the
  /// scale step is 0 (one scale for the run) or 1.
  template <typename F>
  void for_each_run(const F& f) const {
    if (outer * length * inner == 0) return;
    if (axis_step == 0) {
      f(int64_t{0}, outer * length * inner, int64_t{0}, int64_t{0});
    } else if (inner == 1 && block == 1) {
      for (int64_t o = 0; o < outer; ++o) f(o * length, length, o * outer_step, axis_step);
    } else if (inner == 1) {
      for (int64_t o = 0; o < outer; ++o) {
        for (int64_t a = 0; a < length; a += block) {
          f(o * length + a, std::min(block, length - a), o * outer_step + a / block, int64_t{0});
        }
      }
    } else {
      for (int64_t row = 0; row < outer * length; ++row) {
        f(row * inner, inner, row / length * outer_step + row % length / block * axis_step,
          inner_step);
      }
    }
  }
};

/// From the shapes of the data and the scale, and the node's `axis` and `block_size`.
Result<Granularity> read_granularity(const OpContext& ctx, const Tensor& data, const Tensor& scale);

}  // namespace fewbit::ops
