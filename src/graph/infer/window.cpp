#include "graph/infer/window.h"

namespace fewbit::infer {

namespace {

Result<std::vector<int64_t>> read_list(const InferContext& c, std::string_view key, size_t count,
                                       int64_t fallback, int64_t lowest) {
  if (!c.node().has(key)) return std::vector<int64_t>(count, fallback);
  FEWBIT_ASSIGN(std::vector<int64_t> list, c.required_ints(key));
  if (list.empty()) return std::vector<int64_t>(count, fallback);
  if (list.size() != count) {
    return bad_input("attribute '{}' is {}, expected {} numbers", key, to_string(list), count);
  }
  for (int64_t v : list) {
    if (v < lowest) {
      return bad_input("attribute '{}' is {}, expected numbers of at least {}", key,
                       to_string(list), lowest);
    }
  }
  return list;
}

Result<AutoPad> read_auto_pad(const InferContext& c) {
  std::string name = c.node().get_string("auto_pad", "NOTSET");
  if (name.empty() || name == "NOTSET") return AutoPad::kNotSet;
  if (name == "SAME_UPPER" || name == "SAME_LOWER") return AutoPad::kSame;
  if (name == "VALID") return AutoPad::kValid;
  return bad_input("attribute 'auto_pad' is '{}', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID",
                   name);
}

// The kernel with its holes: (kernel - 1) * dilation + 1.
std::optional<int64_t> extent(const Window& w, size_t axis) {
  if (!w.kernel[axis].known()) return std::nullopt;
  auto holes = checked_mul(w.kernel[axis].value - 1, w.dilations[axis]);
  return holes ? checked_add(*holes, 1) : std::nullopt;
}

// Sum of both pads; 0 where auto_pad is VALID.
std::optional<int64_t> total_pad(const Window& w, size_t axis) {
  if (w.auto_pad == AutoPad::kValid) return 0;
  return checked_add(w.pads[axis], w.pads[axis + w.axes()]);
}

}  // namespace

Result<Window> read_window(const InferContext& c, std::optional<std::vector<Dim>> weight_kernel) {
  Window w;
  if (weight_kernel) w.kernel = std::move(*weight_kernel);
  bool from_weights = !w.kernel.empty();
  if (!from_weights || c.node().has("kernel_shape")) {
    FEWBIT_ASSIGN(std::vector<int64_t> given, c.required_ints("kernel_shape"));
    if (from_weights && given.size() != w.kernel.size()) {
      return bad_input("kernel_shape is {}, but the weights have {} spatial axes", to_string(given),
                       w.kernel.size());
    }
    w.kernel.resize(given.size());
    for (size_t i = 0; i < given.size(); ++i) {
      if (given[i] < 1 || certainly_differ(w.kernel[i], Dim::of(given[i]))) {
        return bad_input("kernel_shape is {}, expected {}", to_string(given),
                         from_weights ? "the kernel of the weights" : "positive numbers");
      }
      w.kernel[i] = Dim::of(given[i]);
    }
  }
  for (const Dim& d : w.kernel) {
    if (d.known() && d.value < 1) return bad_input("the kernel has no elements");
  }
  size_t n = w.axes();
  FEWBIT_ASSIGN(w.strides, read_list(c, "strides", n, 1, 1));
  FEWBIT_ASSIGN(w.dilations, read_list(c, "dilations", n, 1, 1));
  FEWBIT_ASSIGN(w.pads, read_list(c, "pads", 2 * n, 0, INT64_MIN));
  FEWBIT_ASSIGN(w.auto_pad, read_auto_pad(c));
  w.ceil_mode = c.node().get_int("ceil_mode", 0) != 0;
  return w;
}

Result<Dim> window_output(const Window& w, size_t axis, const Dim& in) {
  int64_t stride = w.strides[axis];
  if (w.auto_pad == AutoPad::kSame) {
    if (stride == 1) return in;
    if (!in.known()) return Dim{};
    return Dim::of(in.value / stride + (in.value % stride != 0 ? 1 : 0));
  }
  auto kernel = extent(w, axis);
  auto pad = total_pad(w, axis);
  if (!kernel || !pad) return Dim{};
  // A window of 2p + 1 with pads of p keeps any size, known or not.
  if (stride == 1 && *pad == *kernel - 1) return in;
  if (!in.known()) return Dim{};
  auto padded = checked_add(in.value, *pad);
  auto room = padded ? checked_sub(*padded, *kernel) : std::nullopt;
  if (!room) return Dim{};
  int64_t steps = *floor_div(*room, stride);
  // With VALID the standard's text gives ceil((in - kernel + 1) / stride): rounding down here.
  if (w.ceil_mode && w.auto_pad == AutoPad::kNotSet) {
    steps += *room % stride != 0 ? 1 : 0;
    // A window must start inside the input or its leading pad.
    auto start = checked_mul(steps, stride);
    auto limit = checked_add(in.value, w.pads[axis]);
    if (!start || !limit) return Dim{};
    if (*start >= *limit) --steps;
  }
  if (steps < 0) {
    return bad_input(
        "spatial axis {} has {} elements with {} of padding, fewer than the kernel's {}", axis,
        in.value, *pad, *kernel);
  }
  return Dim::of(steps + 1);
}

Result<Dim> transposed_output(const Window& w, size_t axis, const Dim& in, int64_t output_padding) {
  if (w.auto_pad == AutoPad::kSame) return mul(in, Dim::of(w.strides[axis]));
  auto kernel = extent(w, axis);
  auto pad = total_pad(w, axis);
  if (!in.known() || !kernel || !pad) return Dim{};
  auto size = checked_mul(in.value - 1, w.strides[axis]);
  if (size) size = checked_add(*size, output_padding);
  if (size) size = checked_add(*size, *kernel);
  if (size) size = checked_sub(*size, *pad);
  if (size && *size < 0) {
    return bad_input("spatial axis {} would have {} elements: the pads are larger than the output",
                     axis, *size);
  }
  return dim_or_unknown(size);
}

}  // namespace fewbit::infer
