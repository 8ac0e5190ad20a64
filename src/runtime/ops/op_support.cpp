#include "runtime/ops/op_support.h"

#include <algorithm>
#include <new>

#include "runtime/ops/dispatch.h"

namespace fewbit::ops {

Error internal::make_node_error(const Node& node, fmt::string_view format, fmt::format_args args) {
  return bad_input("{}: {}", node.label(), fmt::vformat(format, args));
}

Error type_error(const Node& node, DType type) {
  return unsupported("{}: element type {} is not supported", node.label(), name_of(type));
}

Result<int64_t> normalize_axis(const Node& node, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    return node_error(node, "axis {} is out of range for rank {}", axis, rank);
  }
  return axis < 0 ? axis + rank : axis;
}

Result<std::vector<int64_t>> normalize_axes(const Node& node, std::vector<int64_t> axes,
                                            int64_t rank) {
  std::vector<bool> seen(static_cast<size_t>(rank), false);
  for (int64_t& axis : axes) {
    FEWBIT_ASSIGN(axis, normalize_axis(node, axis, rank));
    if (seen[static_cast<size_t>(axis)]) return node_error(node, "axis {} is given twice", axis);
    seen[static_cast<size_t>(axis)] = true;
  }
  return axes;
}

Result<std::vector<int64_t>> read_ints(const Node& node, const Tensor& tensor,
                                       std::string_view what) {
  if (tensor.type() == DType::kInt64) {
    std::span<const int64_t> values = tensor.span<int64_t>();
    return std::vector<int64_t>(values.begin(), values.end());
  }
  if (tensor.type() == DType::kInt32) {
    std::span<const int32_t> values = tensor.span<int32_t>();
    return std::vector<int64_t>(values.begin(), values.end());
  }
  return node_error(node, "{} must be int64 or int32, not {}", what, name_of(tensor.type()));
}

Result<int64_t> read_int(const Node& node, const Tensor& tensor, std::string_view what) {
  if (tensor.elements() != 1) {
    return node_error(node, "{} must have one element, has shape {}", what,
                      to_string(tensor.dims()));
  }
  int64_t value = 0;
  FEWBIT_TRY(dispatch(node, tensor.type(), Integers{}, [&](auto tag) -> Status {
    value = static_cast<int64_t>(*tensor.data<typename decltype(tag)::type>());
    return {};
  }));
  return value;
}

Result<double> read_number(const Node& node, const Tensor& tensor, std::string_view what) {
  if (tensor.elements() != 1) {
    return node_error(node, "{} must have one element, has shape {}", what,
                      to_string(tensor.dims()));
  }
  Tensor plain = tensor;
  if (is_narrow_float(tensor.type())) {
    FEWBIT_ASSIGN(plain, cast(tensor, DType::kFloat32));
  }
  double value = 0;
  FEWBIT_TRY(dispatch(node, plain.type(), NumbersAndBool{}, [&](auto tag) -> Status {
    value = static_cast<double>(*plain.data<typename decltype(tag)::type>());
    return {};
  }));
  return value;
}

Result<std::optional<std::vector<int64_t>>> axes_argument(OpContext& ctx, size_t input,
                                                          int since_input) {
  using Axes = std::optional<std::vector<int64_t>>;
  if (ctx.opset() >= since_input) {
    if (!ctx.has(input)) return Axes();
    FEWBIT_ASSIGN(std::vector<int64_t> axes, read_ints(ctx.node(), ctx.in(input), "axes"));
    return Axes(std::move(axes));
  }
  if (!ctx.node().has("axes")) return Axes();
  return Axes(ctx.node().get_ints("axes"));
}

namespace {

// More than any machine has: an allocation that the system could only refuse, or worse, promise.
constexpr int64_t kMaxTensorBytes = int64_t{1} << 42;

Status check_size(const Node& node, DType type, const Dims& dims) {
  Result<int64_t> count = checked_elements(dims, type);
  if (!count.ok()) return std::move(count).error().with_context(node.label());
  const bool is_string = type == DType::kString;
  const int64_t limit =
      is_string ? kMaxTensorBytes / static_cast<int64_t>(sizeof(std::string)) : kMaxTensorBytes;
  if ((is_string ? *count : bytes_of(type, *count)) > limit) {
    return node_error(node, "an output of shape {} does not fit in memory", to_string(dims));
  }
  return {};
}

}  // namespace

Result<Tensor*> make_output(OpContext& ctx, size_t i, DType type, const Dims& dims) {
  FEWBIT_TRY(check_size(ctx.node(), type, dims));
  try {
    return &ctx.out(i, type, dims);
  } catch (const std::bad_alloc&) {
    return node_error(ctx.node(), "no memory for an output of shape {}", to_string(dims));
  }
}

Result<Tensor> make_tensor(const Node& node, DType type, const Dims& dims) {
  FEWBIT_TRY(check_size(node, type, dims));
  try {
    return Tensor::uninitialized(type, dims);
  } catch (const std::bad_alloc&) {
    return node_error(node, "no memory for a tensor of shape {}", to_string(dims));
  }
}

Dims strides_of(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

int64_t product(const Dims& dims, int64_t begin, int64_t end) {
  return elements_of(std::span<const int64_t>(dims).subspan(static_cast<size_t>(begin),
                                                            static_cast<size_t>(end - begin)));
}

}  // namespace fewbit::ops
