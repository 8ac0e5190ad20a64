// Operators on shapes: none of them touches an element. Outputs that differ from the input only in
// their dimensions share its memory.

#include <algorithm>

#include "runtime/ops/op_support.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

Status shape(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  auto clamped = [&](std::string_view key, int64_t fallback) {
    int64_t v = ctx.node().get_int(key, fallback);
    if (v < 0) v += x.rank();
    return std::clamp<int64_t>(v, 0, x.rank());
  };
  const int64_t start = clamped("start", 0);
  const int64_t end = std::max(start, clamped("end", x.rank()));
  const std::vector<int64_t> part(x.dims().begin() + start, x.dims().begin() + end);
  ctx.set_out(0, Tensor::from({end - start}, part));
  return {};
}

Status size(OpContext& ctx) {
  ctx.set_out(0, Tensor::scalar<int64_t>(ctx.in(0).elements()));
  return {};
}

// 0 copies the input's dimension (unless allowzero), one -1 takes what is left.
Status reshape(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(Dims dims, read_ints(node, ctx.in(1), "shape"));
  const Dims asked = dims;
  const bool keep_zero = node.get_int("allowzero", 0) != 0;
  size_t open = dims.size();
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && !keep_zero) {
      if (i >= x.dims().size()) {
        return node_error(node, "shape {} copies dimension {} of an input of shape {}",
                          to_string(asked), i, to_string(x.dims()));
      }
      dims[i] = x.dims()[i];
    } else if (dims[i] == -1) {
      if (open != dims.size()) return node_error(node, "shape {} has two -1", to_string(asked));
      open = i;
    }
  }
  if (open != dims.size()) {
    dims[open] = 1;
    Result<int64_t> rest = checked_elements(dims, x.type());
    if (!rest.ok()) return std::move(rest).error().with_context(node.label());
    dims[open] = *rest == 0 ? 0 : x.elements() / *rest;
  }
  Result<int64_t> count = checked_elements(dims, x.type());
  if (!count.ok() || *count != x.elements()) {
    return node_error(node, "an input of shape {} cannot take the shape {}", to_string(x.dims()),
                      to_string(asked));
  }
  ctx.set_out(0, x.reshaped(dims));
  return {};
}

Status flatten(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  int64_t axis = ctx.node().get_int("axis", 1);
  if (axis < -x.rank() || axis > x.rank()) {
    return node_error(ctx.node(), "axis {} is out of range for rank {}", axis, x.rank());
  }
  if (axis < 0) axis += x.rank();
  ctx.set_out(0, x.reshaped({product(x.dims(), 0, axis), product(x.dims(), axis, x.rank())}));
  return {};
}

Status squeeze(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(auto given, axes_argument(ctx, 1, 13));
  std::vector<bool> drop(x.dims().size(), false);
  if (given) {
    FEWBIT_ASSIGN(std::vector<int64_t> axes, normalize_axes(ctx.node(), *given, x.rank()));
    for (int64_t a : axes) {
      if (x.dim(a) != 1) {
        return node_error(ctx.node(), "axis {} of shape {} is not 1", a, to_string(x.dims()));
      }
      drop[static_cast<size_t>(a)] = true;
    }
  } else {
    for (size_t i = 0; i < drop.size(); ++i) drop[i] = x.dims()[i] == 1;
  }
  Dims dims;
  for (size_t i = 0; i < drop.size(); ++i) {
    if (!drop[i]) dims.push_back(x.dims()[i]);
  }
  ctx.set_out(0, x.reshaped(dims));
  return {};
}

Status unsqueeze(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(auto given, axes_argument(ctx, 1, 13));
  if (!given) return node_error(ctx.node(), "axes are missing");
  const int64_t rank = x.rank() + static_cast<int64_t>(given->size());
  FEWBIT_ASSIGN(std::vector<int64_t> axes, normalize_axes(ctx.node(), *given, rank));
  std::sort(axes.begin(), axes.end());
  Dims dims = x.dims();
  for (int64_t a : axes) dims.insert(dims.begin() + a, 1);
  ctx.set_out(0, x.reshaped(dims));
  return {};
}

Status constant(OpContext& ctx) {
  const Node& node = ctx.node();
  if (const auto* tensor = node.get<Tensor>("value")) {
    ctx.set_out(0, *tensor);
  } else if (const auto* f = node.get<float>("value_float")) {
    ctx.set_out(0, Tensor::scalar(*f));
  } else if (const auto* i = node.get<int64_t>("value_int")) {
    ctx.set_out(0, Tensor::scalar(*i));
  } else if (const auto* s = node.get<std::string>("value_string")) {
    ctx.set_out(0, Tensor::strings({}, {*s}));
  } else if (const auto* fs = node.get<std::vector<float>>("value_floats")) {
    ctx.set_out(0, Tensor::from({static_cast<int64_t>(fs->size())}, *fs));
  } else if (const auto* is = node.get<std::vector<int64_t>>("value_ints")) {
    ctx.set_out(0, Tensor::from({static_cast<int64_t>(is->size())}, *is));
  } else if (const auto* ss = node.get<std::vector<std::string>>("value_strings")) {
    ctx.set_out(0, Tensor::strings({static_cast<int64_t>(ss->size())}, *ss));
  } else {
    return node_error(node, "has no value that can be read");
  }
  return {};
}

constexpr OpRow kRows[] = {
    {"", "Shape", 1, shape},       {"", "Size", 1, size},       {"", "Reshape", 5, reshape},
    {"", "Flatten", 1, flatten},   {"", "Squeeze", 1, squeeze}, {"", "Unsqueeze", 1, unsqueeze},
    {"", "Constant", 1, constant},
};

}  // namespace

std::span<const OpRow> shape_ops_table() {
  return kRows;
}

}  // namespace fewbit::ops
