#include "runtime/ops/window.h"

#include <algorithm>

namespace fewbit::ops {
namespace {

// Attributes and extents above this are refused: below it, no product of two of them overflows.
constexpr int64_t kMaxExtent = int64_t{1} << 30;

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// `count` numbers in [lowest, kMaxExtent] of an attribute; all `fallback` if it is absent.
Result<std::vector<int64_t>> read_extents(const Node& node, std::string_view key, size_t count,
                                          int64_t lowest, int64_t fallback) {
  std::vector<int64_t> values = node.get_ints(key);
  if (values.empty()) return std::vector<int64_t>(count, fallback);
  if (values.size() != count) {
    return node_error(node, "{} has {} values, {} are needed", key, values.size(), count);
  }
  for (int64_t v : values) {
    if (v < lowest || v > kMaxExtent) {
      return node_error(node, "{} {} is outside [{}, {}]", key, to_string(values), lowest,
                        kMaxExtent);
    }
  }
  return values;
}

Status read_kernel(const Node& node, std::span<const int64_t> kernel, Window& w) {
  const auto rank = static_cast<size_t>(w.rank);
  const size_t skip = 3 - rank;
  FEWBIT_ASSIGN(auto attribute, read_extents(node, "kernel_shape", rank, 1, 0));
  if (kernel.empty() && attribute[0] == 0) {
    return node_error(node, "kernel_shape is missing");
  }
  for (size_t i = 0; i < rank; ++i) {
    const int64_t extent = kernel.empty() ? attribute[i] : kernel[i];
    if (extent < 1 || extent > kMaxExtent || (attribute[i] != 0 && attribute[i] != extent)) {
      return node_error(node, "kernel_shape {} does not fit the weights' {}", to_string(attribute),
                        to_string(kernel));
    }
    w.kernel[skip + i] = extent;
  }
  return {};
}

// Extents under auto_pad = SAME_*: the output covers the input once per stride, and the padding
// that needs is split with the odd element at the end (UPPER) or at the beginning (LOWER).
void pad_same(Window& w, size_t i, bool upper) {
  const int64_t reach = (w.kernel[i] - 1) * w.dilation[i] + 1;
  w.out[i] = ceil_div(w.in[i], w.stride[i]);
  const int64_t total = std::max<int64_t>(0, (w.out[i] - 1) * w.stride[i] + reach - w.in[i]);
  w.pad[i] = upper ? total / 2 : total - total / 2;
  w.pad_end[i] = total - w.pad[i];
}

}  // namespace

Status need_dims(const OpContext& ctx, size_t i, std::span<const int64_t> dims,
                 std::string_view what) {
  const Dims& have = ctx.in(i).dims();
  if (std::equal(have.begin(), have.end(), dims.begin(), dims.end())) return {};
  return node_error(ctx.node(), "{} must have shape {}, has {}", what, to_string(dims),
                    to_string(have));
}

Status need_same_type(const OpContext& ctx, size_t i, size_t j) {
  if (!ctx.has(i) || !ctx.has(j) || ctx.in(i).type() == ctx.in(j).type()) return {};
  return node_error(ctx.node(), "inputs {} and {} must have the same type, are {} and {}", i, j,
                    name_of(ctx.in(i).type()), name_of(ctx.in(j).type()));
}

Dims Window::output_dims(int64_t batch, int64_t channels) const {
  Dims dims{batch, channels};
  dims.insert(dims.end(), out.end() - rank, out.end());
  return dims;
}

Range inside(const Window& w, size_t dim, int64_t k) {
  // 0 <= o * stride + k * dilation - pad < in
  const int64_t shift = w.pad[dim] - k * w.dilation[dim];
  const int64_t first = shift <= 0 ? 0 : ceil_div(shift, w.stride[dim]);
  const int64_t end = w.in[dim] + shift;
  const int64_t last = end <= 0 ? 0 : std::min(w.out[dim], ceil_div(end, w.stride[dim]));
  return {std::min(first, last), last};
}

Result<Window> read_window_attributes(const OpContext& ctx, std::span<const int64_t> in_spatial,
                                      std::span<const int64_t> kernel) {
  const Node& node = ctx.node();
  const size_t rank = in_spatial.size();
  if (rank < 1 || rank > 3) {
    return unsupported("{}: {} spatial dimensions; 1 to 3 are supported", node.label(), rank);
  }
  Window w;
  w.rank = static_cast<int>(rank);
  const size_t skip = 3 - rank;
  FEWBIT_TRY(read_kernel(node, kernel, w));
  FEWBIT_ASSIGN(auto strides, read_extents(node, "strides", rank, 1, 1));
  FEWBIT_ASSIGN(auto dilations, read_extents(node, "dilations", rank, 1, 1));
  FEWBIT_ASSIGN(auto pads, read_extents(node, "pads", 2 * rank, 0, 0));
  const std::string auto_pad = node.get_string("auto_pad", "NOTSET");
  if (auto_pad != "NOTSET") std::fill(pads.begin(), pads.end(), 0);
  for (size_t i = 0; i < rank; ++i) {
    if (in_spatial[i] > kMaxExtent) {
      return node_error(node, "spatial extent {} is too large", in_spatial[i]);
    }
    w.in[skip + i] = in_spatial[i];
    w.stride[skip + i] = strides[i];
    w.dilation[skip + i] = dilations[i];
    w.pad[skip + i] = pads[i];
    w.pad_end[skip + i] = pads[rank + i];
  }
  return w;
}

Result<Window> read_window(const OpContext& ctx, std::span<const int64_t> in_spatial,
                           std::span<const int64_t> kernel, bool ceil_mode) {
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(Window w, read_window_attributes(ctx, in_spatial, kernel));
  const std::string auto_pad = node.get_string("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  if (!same && auto_pad != "NOTSET" && auto_pad != "VALID") {
    return node_error(node, "auto_pad '{}' is not known", auto_pad);
  }
  for (size_t i = 3 - static_cast<size_t>(w.rank); i < 3; ++i) {
    if (same) {
      pad_same(w, i, auto_pad == "SAME_UPPER");
      continue;
    }
    const int64_t room = w.in[i] + w.pad[i] + w.pad_end[i] - (w.kernel[i] - 1) * w.dilation[i] - 1;
    if (room < 0) {
      return node_error(node, "the kernel is larger than the padded input (dimension {})",
                        i - (3 - static_cast<size_t>(w.rank)));
    }
    // VALID with ceil_mode is ceil((in - reach + 1) / stride): the same as rounding down here.
    const bool up = ceil_mode && auto_pad == "NOTSET";
    w.out[i] = (up ? ceil_div(room, w.stride[i]) : room / w.stride[i]) + 1;
    // A window that would start in the right padding is left out.
    if (up && (w.out[i] - 1) * w.stride[i] >= w.in[i] + w.pad[i]) --w.out[i];
  }
  return w;
}

}  // namespace fewbit::ops
