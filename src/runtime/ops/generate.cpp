// Tensors made from a few numbers: Range, ConstantOfShape, OneHot, EyeLike, Trilu.

#include <algorithm>
#include <cmath>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/integer_math.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

// ceil((limit - start) / delta), at least 0; -1 if that is no number that fits.
template <typename T>
int64_t range_count(T start, T limit, T delta) {
  if constexpr (std::is_floating_point_v<T>) {
    const double n = std::ceil((static_cast<double>(limit) - static_cast<double>(start)) /
                               static_cast<double>(delta));
    if (!(n < 9e18)) return -1;
    return n < 0 ? 0 : static_cast<int64_t>(n);
  } else {
    if ((delta > 0) != (limit > start) || limit == start) return 0;
    // Unsigned differences cannot overflow.
    const uint64_t span = delta > 0 ? static_cast<uint64_t>(limit) - static_cast<uint64_t>(start)
                                    : static_cast<uint64_t>(start) - static_cast<uint64_t>(limit);
    const uint64_t pace =
        delta > 0 ? static_cast<uint64_t>(delta) : 0 - static_cast<uint64_t>(delta);
    return static_cast<int64_t>((span - 1) / pace) + 1;
  }
}

Status range(OpContext& ctx) {
  const Node& node = ctx.node();
  for (size_t i = 0; i < 3; ++i) {
    if (ctx.in(i).elements() != 1 || ctx.in(i).type() != ctx.in(0).type()) {
      return node_error(node, "start, limit and delta must be scalars of one type");
    }
  }
  using List = Types<float, double, int16_t, int32_t, int64_t>;
  return dispatch(node, ctx.in(0).type(), List{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const T start = *ctx.in(0).data<T>();
    const T limit = *ctx.in(1).data<T>();
    const T delta = *ctx.in(2).data<T>();
    if (delta == T{0}) return node_error(node, "delta is 0");
    const int64_t n = range_count(start, limit, delta);
    if (n < 0) return node_error(node, "[{}, {}) by {} has no end", start, limit, delta);
    FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, ctx.in(0).type(), {n}));
    T* to = out->template data<T>();
    for (int64_t i = 0; i < n; ++i) {
      if constexpr (std::is_floating_point_v<T>) {
        to[i] = start + static_cast<T>(i) * delta;
      } else {
        to[i] = wrap_add(start, wrap_mul(static_cast<T>(i), delta));
      }
    }
    return {};
  });
}

Status constant_of_shape(OpContext& ctx) {
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(Dims dims, read_ints(node, ctx.in(0), "shape"));
  Tensor value = Tensor::scalar(0.0F);
  if (const auto* given = node.get<Tensor>("value")) value = *given;
  if (value.elements() != 1) {
    return node_error(node, "value must have one element, has {}", value.elements());
  }
  const DType type = value.type();
  if (is_packed(type)) value = unpack_codes(value);
  FEWBIT_ASSIGN(Tensor out, make_tensor(node, value.type(), dims));
  FEWBIT_TRY(dispatch_storage(node, value.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    std::fill_n(elements<T>(out), out.elements(), elements<T>(std::as_const(value))[0]);
    return {};
  }));
  ctx.set_out(0, is_packed(type) ? pack_codes(out, type) : std::move(out));
  return {};
}

// Any numeric tensor as indices; fractions are cut off.
Result<Tensor> as_int64(const Tensor& x) {
  return cast(x, DType::kInt64);
}

Status one_hot(OpContext& ctx) {
  const Node& node = ctx.node();
  const Tensor& values = ctx.in(2);
  FEWBIT_ASSIGN(Tensor indices, as_int64(ctx.in(0)));
  FEWBIT_ASSIGN(Tensor depth_tensor, as_int64(ctx.in(1)));
  FEWBIT_ASSIGN(int64_t depth, read_int(node, depth_tensor, "depth"));
  FEWBIT_ASSIGN(int64_t axis, normalize_axis(node, node.get_int("axis", -1), indices.rank() + 1));
  if (depth < 0 || values.elements() != 2) {
    return node_error(node, "needs depth >= 0 and two values, has {} and {}", depth,
                      values.elements());
  }
  Dims dims = indices.dims();
  dims.insert(dims.begin() + axis, depth);
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, values.type(), dims));
  const int64_t inner = product(indices.dims(), axis, indices.rank());
  return dispatch_storage(node, values.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const T* off_on = elements<T>(values);
    T* to = elements<T>(*out);
    std::fill_n(to, out->elements(), off_on[0]);
    for (int64_t i = 0; i < indices.elements(); ++i) {
      int64_t hot = std::as_const(indices).data<int64_t>()[i];
      if (hot < -depth || hot >= depth) continue;
      if (hot < 0) hot += depth;
      to[(i / inner * depth + hot) * inner + i % inner] = off_on[1];
    }
    return {};
  });
}

Status eye_like(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  if (x.rank() != 2) return node_error(node, "needs a matrix, has {}", to_string(x.dims()));
  const int64_t k = node.get_int("k", 0);
  Tensor eye = Tensor::zeros(DType::kUint8, x.dims());
  for (int64_t i = 0; i < x.dim(0); ++i) {
    int64_t j = 0;
    if (__builtin_add_overflow(i, k, &j) || j < 0 || j >= x.dim(1)) continue;
    eye.data<uint8_t>()[i * x.dim(1) + j] = 1;
  }
  const int64_t type = node.get_int("dtype", static_cast<int64_t>(x.type()));
  if (type <= 0 || type >= kDTypeCount) return node_error(node, "dtype {} is not known", type);
  FEWBIT_ASSIGN(eye, cast(eye, static_cast<DType>(type)));
  ctx.set_out(0, std::move(eye));
  return {};
}

Status trilu(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  if (x.rank() < 2) return node_error(node, "needs matrices, has shape {}", to_string(x.dims()));
  int64_t k = 0;
  if (ctx.has(1)) {
    FEWBIT_ASSIGN(k, read_int(node, ctx.in(1), "k"));
  }
  const bool upper = node.get_int("upper", 1) != 0;
  const int64_t rows = x.dim(x.rank() - 2);
  const int64_t columns = x.dims().back();
  // Beyond the matrix all k are alike; held to it, i + k cannot overflow.
  k = std::clamp(k, -rows - 1, columns + 1);
  Tensor& out = ctx.out(0, x.type(), x.dims());
  const int64_t all_rows = product(x.dims(), 0, x.rank() - 1);
  return dispatch_storage(node, x.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const T* in = elements<T>(x);
    T* to = elements<T>(out);
    for (int64_t row = 0; row < all_rows; ++row) {
      const int64_t i = row % rows;
      for (int64_t j = 0; j < columns; ++j) {
        const bool kept = upper ? j >= i + k : j <= i + k;
        to[row * columns + j] = kept ? in[row * columns + j] : T{};
      }
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "Range", 11, in_float<range>}, {"", "ConstantOfShape", 9, constant_of_shape},
    {"", "OneHot", 9, one_hot},         {"", "EyeLike", 9, eye_like},
    {"", "Trilu", 14, unpacked<trilu>},
};

}  // namespace

std::span<const OpRow> generate_table() {
  return kRows;
}

}  // namespace fewbit::ops
