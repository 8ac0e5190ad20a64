// Slice, Pad and CenterCropPad: parts of a tensor, and tensors with a border.

#include <algorithm>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/strided.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

/// Per axis: first index, number of elements, step.
struct Cut {
  Dims start, extent, step;
};

// Bounds below 0 count from the end; then they are held to the axis, as numpy's slices are.
void cut_axis(Cut& cut, size_t axis, int64_t n, int64_t start, int64_t end, int64_t step) {
  const int64_t lowest = step > 0 ? 0 : -1;
  const int64_t highest = step > 0 ? n : n - 1;
  auto bound = [&](int64_t v) {
    if (v < 0) v = v < -n ? -1 - n : v;  // no overflow below
    return std::clamp(v < 0 ? v + n : v, lowest, highest);
  };
  start = bound(start);
  end = bound(end);
  const int64_t span = step > 0 ? end - start : start - end;
  // |step| in unsigned: the most negative step has no positive twin.
  const uint64_t pace = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  cut.start[axis] = start;
  cut.extent[axis] =
      span <= 0 ? 0 : static_cast<int64_t>((static_cast<uint64_t>(span) - 1) / pace) + 1;
  cut.step[axis] = cut.extent[axis] <= 1 ? 1 : step;
}

struct SliceArguments {
  std::vector<int64_t> starts, ends, axes, steps;
};

Result<SliceArguments> slice_arguments(OpContext& ctx) {
  const Node& node = ctx.node();
  SliceArguments a;
  if (node.opset < 10) {
    a.starts = node.get_ints("starts");
    a.ends = node.get_ints("ends");
    a.axes = node.get_ints("axes");
  } else {
    FEWBIT_ASSIGN(a.starts, read_ints(node, ctx.in(1), "starts"));
    FEWBIT_ASSIGN(a.ends, read_ints(node, ctx.in(2), "ends"));
    if (ctx.has(3)) {
      FEWBIT_ASSIGN(a.axes, read_ints(node, ctx.in(3), "axes"));
    }
    if (ctx.has(4)) {
      FEWBIT_ASSIGN(a.steps, read_ints(node, ctx.in(4), "steps"));
    }
  }
  const size_t n = a.starts.size();
  if (a.axes.empty()) {
    for (size_t i = 0; i < n; ++i) a.axes.push_back(static_cast<int64_t>(i));
  }
  if (a.steps.empty()) a.steps.assign(n, 1);
  if (a.ends.size() != n || a.axes.size() != n || a.steps.size() != n) {
    return node_error(node, "starts, ends, axes and steps have {}, {}, {} and {} entries", n,
                      a.ends.size(), a.axes.size(), a.steps.size());
  }
  FEWBIT_ASSIGN(a.axes, normalize_axes(node, a.axes, ctx.in(0).rank()));
  return a;
}

Status slice(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(SliceArguments a, slice_arguments(ctx));
  Cut cut{Dims(x.dims().size(), 0), x.dims(), Dims(x.dims().size(), 1)};
  for (size_t i = 0; i < a.axes.size(); ++i) {
    if (a.steps[i] == 0) return node_error(ctx.node(), "a step is 0");
    const auto axis = static_cast<size_t>(a.axes[i]);
    cut_axis(cut, axis, x.dims()[axis], a.starts[i], a.ends[i], a.steps[i]);
  }
  Dims strides = strides_of(x.dims());
  int64_t base = 0;
  for (size_t i = 0; i < strides.size(); ++i) {
    base += cut.start[i] * strides[i];
    strides[i] *= cut.step[i];
  }
  Tensor& out = ctx.out(0, x.type(), cut.extent);
  if (out.elements() == 0) return {};
  return dispatch_storage(ctx.node(), x.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    read_strided(elements<T>(x) + base, cut.extent, strides, elements<T>(out));
    return {};
  });
}

// ---- padding: for each axis a table from output index to input index, -1 where the constant goes

using IndexTables = std::vector<std::vector<int64_t>>;

// The input index that mode puts at position i of an axis of n elements; i may lie outside.
int64_t source_index(int64_t i, int64_t n, std::string_view mode) {
  if (i >= 0 && i < n) return i;
  if (mode == "constant") return -1;
  if (mode == "edge") return i < 0 ? 0 : n - 1;
  const int64_t period = mode == "wrap" ? n : 2 * (n - 1);
  if (period == 0) return 0;
  int64_t r = i % period;
  if (r < 0) r += period;
  return r < n ? r : period - r;
}

Status fill_from_tables(OpContext& ctx, const IndexTables& tables, const Tensor* constant) {
  const Tensor& x = ctx.in(0);
  Dims dims;
  for (const auto& table : tables) dims.push_back(static_cast<int64_t>(table.size()));
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, x.type(), dims));
  const Dims strides = strides_of(x.dims());
  return dispatch_storage(ctx.node(), x.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const T fill = constant == nullptr ? T{} : elements<T>(*constant)[0];
    const T* in = elements<T>(x);
    T* to = elements<T>(*out);
    if (tables.empty()) {
      *to = *in;
      return {};
    }
    const std::vector<int64_t>& row = tables.back();
    const Dims outer(dims.begin(), dims.end() - 1);
    Dims index(outer.size(), 0);
    for (int64_t rows = elements_of(outer); rows > 0; --rows) {
      int64_t base = 0;
      bool inside = true;
      for (size_t i = 0; i < outer.size(); ++i) {
        const int64_t from = tables[i][static_cast<size_t>(index[i])];
        inside = inside && from >= 0;
        base += from * strides[i];
      }
      for (int64_t from : row) *to++ = inside && from >= 0 ? in[base + from] : fill;
      for (size_t i = outer.size(); i-- > 0;) {
        if (++index[i] < outer[i]) break;
        index[i] = 0;
      }
    }
    return {};
  });
}

struct PadArguments {
  std::vector<int64_t> begin, end;  ///< per axis of the input
};

Result<PadArguments> pad_arguments(OpContext& ctx) {
  const Node& node = ctx.node();
  const int64_t rank = ctx.in(0).rank();
  std::vector<int64_t> pads = node.get_ints("pads");
  if (node.opset >= 11) {
    FEWBIT_ASSIGN(pads, read_ints(node, ctx.in(1), "pads"));
  }
  std::vector<int64_t> axes;
  if (node.opset >= 18 && ctx.has(3)) {
    FEWBIT_ASSIGN(axes, read_ints(node, ctx.in(3), "axes"));
    FEWBIT_ASSIGN(axes, normalize_axes(node, axes, rank));
  } else {
    for (int64_t i = 0; i < rank; ++i) axes.push_back(i);
  }
  if (pads.size() != 2 * axes.size()) {
    return node_error(node, "{} pads for {} axes", pads.size(), axes.size());
  }
  PadArguments a;
  a.begin.assign(static_cast<size_t>(rank), 0);
  a.end.assign(static_cast<size_t>(rank), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    a.begin[static_cast<size_t>(axes[i])] = pads[i];
    a.end[static_cast<size_t>(axes[i])] = pads[axes.size() + i];
  }
  return a;
}

// No axis of an output may be longer than this: its index table must fit in memory.
constexpr int64_t kMaxPaddedExtent = int64_t{1} << 32;

Result<IndexTables> pad_tables(const Node& node, const Dims& dims, const PadArguments& a,
                               std::string_view mode) {
  IndexTables tables;
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t n = dims[i];
    int64_t extent = 0;
    if (__builtin_add_overflow(n, a.begin[i], &extent) ||
        __builtin_add_overflow(extent, a.end[i], &extent) || extent < 0 ||
        extent > kMaxPaddedExtent || a.begin[i] < -n || a.begin[i] > kMaxPaddedExtent) {
      return node_error(node, "pads {} and {} do not fit axis {} of extent {}", a.begin[i],
                        a.end[i], i, n);
    }
    if (n == 0 && extent > 0 && mode != "constant") {
      return node_error(node, "axis {} is empty: there is nothing to repeat", i);
    }
    std::vector<int64_t> table(static_cast<size_t>(extent));
    for (int64_t j = 0; j < extent; ++j) {
      table[static_cast<size_t>(j)] = source_index(j - a.begin[i], n, mode);
    }
    tables.push_back(std::move(table));
  }
  return tables;
}

Status pad(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  const std::string mode = node.get_string("mode", "constant");
  if (mode != "constant" && mode != "edge" && mode != "reflect" && mode != "wrap") {
    return node_error(node, "mode '{}' is not known", mode);
  }
  FEWBIT_ASSIGN(PadArguments a, pad_arguments(ctx));
  FEWBIT_ASSIGN(IndexTables tables, pad_tables(node, x.dims(), a, mode));
  Tensor value;
  if (node.opset < 11) {
    // The attribute is a float whatever the type of the data.
    FEWBIT_ASSIGN(value, cast(Tensor::scalar(node.get_float("value", 0.0F)), x.type()));
  } else if (ctx.has(2)) {
    value = ctx.in(2);
    if (value.type() != x.type() || value.elements() != 1) {
      return node_error(node, "constant_value must be one {}, is {} {}", name_of(x.type()),
                        name_of(value.type()), to_string(value.dims()));
    }
  }
  return fill_from_tables(ctx, tables, value.defined() ? &value : nullptr);
}

// An odd pixel too many is cut from the left of the centre, an odd one too few is added on the
// right.
Status center_crop_pad(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(std::vector<int64_t> target, read_ints(node, ctx.in(1), "shape"));
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < x.rank(); ++i) axes.push_back(i);
  if (node.has("axes")) {
    FEWBIT_ASSIGN(axes, normalize_axes(node, node.get_ints("axes"), x.rank()));
  }
  if (target.size() != axes.size()) {
    return node_error(node, "{} extents for {} axes", target.size(), axes.size());
  }
  PadArguments a;
  a.begin.assign(x.dims().size(), 0);
  a.end.assign(x.dims().size(), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    if (target[i] < 0) return node_error(node, "extent {} is negative", target[i]);
    const int64_t more = target[i] - x.dims()[axis];
    a.begin[axis] = more >= 0 ? more / 2 : -((-more) / 2);
    a.end[axis] = more - a.begin[axis];
  }
  FEWBIT_ASSIGN(IndexTables tables, pad_tables(node, x.dims(), a, "constant"));
  return fill_from_tables(ctx, tables, nullptr);
}

constexpr OpRow kRows[] = {
    {"", "Slice", 1, unpacked<slice>},
    {"", "Pad", 2, unpacked<pad>},
    {"", "CenterCropPad", 18, unpacked<center_crop_pad>},
};

}  // namespace

std::span<const OpRow> slice_pad_table() {
  return kRows;
}

}  // namespace fewbit::ops
