#include "runtime/lower/window.h"

#include <algorithm>

namespace fewbit::lower {

std::optional<Window> window_of(const Node& node, std::span<const int64_t> kernel_dims,
                                std::span<const int64_t> in, std::span<const int64_t> out) {
  Window w;
  size_t rank = in.size();
  w.spatial_rank = static_cast<int64_t>(rank);
  w.kernel.assign(kernel_dims.begin(), kernel_dims.end());
  if (w.kernel.empty()) w.kernel = node.get_ints("kernel_shape");
  w.strides = node.get_ints("strides", std::vector<int64_t>(rank, 1));
  w.dilations = node.get_ints("dilations", std::vector<int64_t>(rank, 1));
  std::vector<int64_t> pads = node.get_ints("pads", std::vector<int64_t>(2 * rank, 0));
  if (w.kernel.size() != rank || w.strides.size() != rank || w.dilations.size() != rank ||
      pads.size() != 2 * rank || out.size() != rank) {
    return std::nullopt;
  }
  w.pads_begin.assign(pads.begin(), pads.begin() + static_cast<int64_t>(rank));
  w.pads_end.assign(pads.begin() + static_cast<int64_t>(rank), pads.end());
  std::string auto_pad = node.get_string("auto_pad", "NOTSET");
  for (size_t i = 0; i < rank; ++i) {
    if (w.kernel[i] < 1 || w.strides[i] < 1 || w.dilations[i] < 1) return std::nullopt;
    int64_t extent = (w.kernel[i] - 1) * w.dilations[i] + 1;
    if (auto_pad == "VALID") {
      w.pads_begin[i] = w.pads_end[i] = 0;
    } else if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
      int64_t total = std::max<int64_t>((out[i] - 1) * w.strides[i] + extent - in[i], 0);
      w.pads_begin[i] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      w.pads_end[i] = total - w.pads_begin[i];
    }
    if (w.pads_begin[i] < 0 || w.pads_end[i] < 0) return std::nullopt;
  }
  return w;
}

}  // namespace fewbit::lower
