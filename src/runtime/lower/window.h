#pragma once
// The window of a 2-D (or 1-D) convolution or pool, read from a node's attributes and shapes.

#include "runtime/lower/lowering.h"

namespace fewbit::lower {

struct Window {
  int64_t spatial_rank = 2;
  std::vector<int64_t> kernel, strides, dilations, pads_begin, pads_end;  ///< spatial_rank each
};

/// From kernel_shape (or `kernel_dims` of the weight), strides, dilations, pads and auto_pad; `in`
/// and `out` are the spatial dimensions. nullopt if the attributes do not fit together (the plain
/// operator then says what is wrong).
std::optional<Window> window_of(const Node& node, std::span<const int64_t> kernel_dims,
                                std::span<const int64_t> in, std::span<const int64_t> out);

}  // namespace fewbit::lower
