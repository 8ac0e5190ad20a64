// ScatterElements (and its old name Scatter), ScatterND, TensorScatter: a copy of the data with
// some elements replaced, or combined with the updates by a reduction.

#include <algorithm>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/index_support.h"
#include "runtime/ops/integer_math.h"
#include "runtime/ops/strided.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

/// Updates go in blocks of `block` contiguous elements: update block i to element places[i].
struct Places {
  std::vector<int64_t> at;
  int64_t block = 1;
};

using PlacesFunction = Result<Places> (*)(OpContext&);

Result<Places> element_places(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  const Dims& dims = ctx.in(1).dims();
  FEWBIT_ASSIGN(int64_t axis, normalize_axis(node, node.get_int("axis", 0), x.rank()));
  FEWBIT_TRY(check_covers(node, x.dims(), dims, axis));
  if (ctx.in(2).dims() != dims) {
    return node_error(node, "updates of shape {} for indices of shape {}",
                      to_string(ctx.in(2).dims()), to_string(dims));
  }
  FEWBIT_ASSIGN(std::vector<int64_t> indices, read_indices(node, ctx.in(1), x.dim(axis)));
  Dims strides = strides_of(x.dims());
  const int64_t axis_stride = strides[static_cast<size_t>(axis)];
  strides[static_cast<size_t>(axis)] = 0;
  Places places;
  places.at.reserve(indices.size());
  auto index = indices.begin();
  walk(dims, strides, [&](int64_t at) { places.at.push_back(at + *index++ * axis_stride); });
  return places;
}

Result<Places> nd_places(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Tensor& indices = ctx.in(1);
  const Node& node = ctx.node();
  if (indices.rank() == 0 || indices.dims().back() > x.rank()) {
    return node_error(node, "indices of shape {} do not fit data of shape {}",
                      to_string(indices.dims()), to_string(x.dims()));
  }
  const int64_t depth = indices.dims().back();
  Dims expected(indices.dims().begin(), indices.dims().end() - 1);
  expected.insert(expected.end(), x.dims().begin() + depth, x.dims().end());
  if (ctx.in(2).dims() != expected) {
    return node_error(node, "updates have shape {}, need {}", to_string(ctx.in(2).dims()),
                      to_string(expected));
  }
  Places places;
  FEWBIT_ASSIGN(places.at, read_places(node, indices, x.dims(), 0));
  places.block = product(x.dims(), depth, x.rank());
  return places;
}

template <PlacesFunction find_places>
Status replace(OpContext& ctx) {
  FEWBIT_ASSIGN(Places places, find_places(ctx));
  const Tensor& x = ctx.in(0);
  const Tensor& updates = ctx.in(2);
  if (updates.type() != x.type()) return node_error(ctx.node(), "updates have another type");
  Tensor& out = ctx.out(0, x.type(), x.dims());
  return dispatch_storage(ctx.node(), x.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    std::copy_n(elements<T>(x), x.elements(), elements<T>(out));
    const T* from = elements<T>(updates);
    for (int64_t at : places.at) {
      std::copy_n(from, places.block, elements<T>(out) + at);
      from += places.block;
    }
    return {};
  });
}

template <typename T, typename Op>
void combine(const Places& places, const T* from, T* to, Op op) {
  for (int64_t at : places.at) {
    for (int64_t i = 0; i < places.block; ++i) to[at + i] = op(to[at + i], *from++);
  }
}

template <typename T>
bool combine_by_name(std::string_view name, const Places& places, const T* from, T* to) {
  constexpr bool kFloat = std::is_floating_point_v<T>;
  if (name == "add") {
    combine(places, from, to, [](T a, T b) {
      if constexpr (kFloat) {
        return a + b;
      } else {
        return wrap_add(a, b);
      }
    });
  } else if (name == "mul") {
    combine(places, from, to, [](T a, T b) {
      if constexpr (kFloat) {
        return a * b;
      } else {
        return wrap_mul(a, b);
      }
    });
  } else if (name == "max") {
    combine(places, from, to, [](T a, T b) { return b > a || b != b ? b : a; });
  } else if (name == "min") {
    combine(places, from, to, [](T a, T b) { return b < a || b != b ? b : a; });
  } else {
    return false;
  }
  return true;
}

template <PlacesFunction find_places>
Status reduce_into(OpContext& ctx) {
  FEWBIT_ASSIGN(Places places, find_places(ctx));
  const Tensor& x = ctx.in(0);
  const Tensor& updates = ctx.in(2);
  if (updates.type() != x.type()) return node_error(ctx.node(), "updates have another type");
  const std::string reduction = ctx.node().get_string("reduction", "none");
  return dispatch(ctx.node(), x.type(), Numbers{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    Tensor& out = ctx.out(0, x.type(), x.dims());
    std::copy_n(x.data<T>(), x.elements(), out.data<T>());
    if (!combine_by_name<T>(reduction, places, updates.data<T>(), out.data<T>())) {
      return node_error(ctx.node(), "reduction '{}' is not known", reduction);
    }
    return {};
  });
}

template <PlacesFunction find_places>
Status scatter(OpContext& ctx) {
  if (ctx.node().get_string("reduction", "none") == "none") {
    return run_unpacked(ctx, replace<find_places>);
  }
  return run_in_float(ctx, reduce_into<find_places>);
}

// Writes `update` into a cache along one axis, for each batch entry from its own position on.
Status tensor_scatter(OpContext& ctx) {
  const Tensor& cache = ctx.in(0);
  const Tensor& update = ctx.in(1);
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(int64_t axis, normalize_axis(node, node.get_int("axis", -2), cache.rank()));
  if (axis == 0) return node_error(node, "the axis must not be the batch dimension");
  Dims expected = cache.dims();
  if (update.rank() == cache.rank()) expected[static_cast<size_t>(axis)] = update.dim(axis);
  if (update.type() != cache.type() || update.dims() != expected) {
    return node_error(node, "an update of {} {} does not fit a cache of {} {}",
                      name_of(update.type()), to_string(update.dims()), name_of(cache.type()),
                      to_string(cache.dims()));
  }
  std::vector<int64_t> starts(static_cast<size_t>(cache.dim(0)), 0);
  if (ctx.has(2)) {
    FEWBIT_ASSIGN(starts, read_ints(node, ctx.in(2), "write_indices"));
  }
  const bool circular = node.get_string("mode", "linear") == "circular";
  const int64_t length = cache.dim(axis);
  const int64_t count = update.dim(axis);
  if (static_cast<int64_t>(starts.size()) != cache.dim(0) || count > length) {
    return node_error(node, "{} write indices and {} steps for a cache of shape {}", starts.size(),
                      count, to_string(cache.dims()));
  }
  for (int64_t s : starts) {
    if (s < 0 || (circular ? s >= length && count > 0 : s > length - count)) {
      return node_error(node, "write index {} with {} steps is outside a cache of {}", s, count,
                        length);
    }
  }
  const int64_t inner = product(cache.dims(), axis + 1, cache.rank());
  const int64_t middle = product(cache.dims(), 1, axis);
  Tensor& out = ctx.out(0, cache.type(), cache.dims());
  return dispatch_storage(node, cache.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    T* to = elements<T>(out);
    std::copy_n(elements<T>(cache), cache.elements(), to);
    const T* from = elements<T>(update);
    for (int64_t row = 0; row < cache.dim(0) * middle; ++row) {
      const int64_t start = starts[static_cast<size_t>(row / middle)];
      for (int64_t i = 0; i < count; ++i) {
        const int64_t at = circular ? (start + i) % length : start + i;
        std::copy_n(from + (row * count + i) * inner, inner, to + (row * length + at) * inner);
      }
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "Scatter", 9, scatter<element_places>},
    {"", "ScatterElements", 11, scatter<element_places>},
    {"", "ScatterND", 11, scatter<nd_places>},
    {"", "TensorScatter", 24, unpacked<tensor_scatter>},
};

}  // namespace

std::span<const OpRow> scatter_table() {
  return kRows;
}

}  // namespace fewbit::ops
