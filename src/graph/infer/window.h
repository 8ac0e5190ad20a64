#pragma once
// Sliding windows of convolutions and pools: kernel, strides, dilations, pads of the spatial axes.

#include <optional>
#include <vector>

#include "graph/infer_context.h"

namespace fewbit::infer {

enum class AutoPad : uint8_t { kNotSet, kSame, kValid };

struct Window {
  std::vector<Dim> kernel;  ///< of each spatial axis, without dilation
  std::vector<int64_t> strides;
  std::vector<int64_t> dilations;
  std::vector<int64_t> pads;  ///< all begins, then all ends
  AutoPad auto_pad = AutoPad::kNotSet;
  bool ceil_mode = false;
  size_t axes() const { return kernel.size(); }
};

/// The window that the node's attributes describe. `weight_kernel`: the kernel's dimensions by the
/// weights (may be unknown), nullopt for pools, whose kernel_shape is required. Error: lists of the
/// wrong length, numbers that are not positive, a kernel_shape that the weights contradict.
Result<Window> read_window(const InferContext& c, std::optional<std::vector<Dim>> weight_kernel);

/// Size of spatial axis `axis` after the window has slid over `in` elements. Error if the kernel is
/// larger than the padded input.
Result<Dim> window_output(const Window& window, size_t axis, const Dim& in);

/// Size of spatial axis `axis` of the transposed convolution (or unpooling) of `in` elements.
Result<Dim> transposed_output(const Window& window, size_t axis, const Dim& in,
                              int64_t output_padding);

}  // namespace fewbit::infer
