// Operators whose output depends on the order or the presence of values: TopK, Unique, NonZero,
// Compress.

#include <algorithm>
#include <cstring>
#include <numeric>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/strided.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

// A total order: NaN comes after every number (as numpy sorts), so std::sort stays defined.
template <typename T>
bool precedes(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (a != a) return false;
    if (b != b) return true;
  }
  return a < b;
}

Result<int64_t> top_count(OpContext& ctx) {
  if (ctx.opset() < 10) return ctx.node().get_int("k", -1);
  return read_int(ctx.node(), ctx.in(1), "K");
}

Status top_k(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(int64_t axis, normalize_axis(node, node.get_int("axis", -1), x.rank()));
  FEWBIT_ASSIGN(int64_t k, top_count(ctx));
  const int64_t n = x.dim(axis);
  if (k < 0 || k > n) return node_error(node, "K = {} is not in [0, {}]", k, n);
  const bool largest = node.get_int("largest", 1) != 0;
  Dims dims = x.dims();
  dims[static_cast<size_t>(axis)] = k;
  const int64_t outer = product(dims, 0, axis);
  const int64_t inner = product(dims, axis + 1, x.rank());
  return dispatch(node, x.type(), Numbers{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    T* values = ctx.out(0, x.type(), dims).template data<T>();
    auto* indices = ctx.out(1, DType::kInt64, dims).template data<int64_t>();
    std::vector<int64_t> order(static_cast<size_t>(n));
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t j = 0; j < inner; ++j) {
        const T* from = x.data<T>() + o * n * inner + j;
        std::iota(order.begin(), order.end(), int64_t{0});
        // Equal values keep the order of their indices.
        auto before = [&](int64_t a, int64_t b) {
          const T& va = from[a * inner];
          const T& vb = from[b * inner];
          if (largest ? precedes(vb, va) : precedes(va, vb)) return true;
          if (largest ? precedes(va, vb) : precedes(vb, va)) return false;
          return a < b;
        };
        std::partial_sort(order.begin(), order.begin() + k, order.end(), before);
        for (int64_t i = 0; i < k; ++i) {
          const int64_t at = (o * k + i) * inner + j;
          indices[at] = order[static_cast<size_t>(i)];
          values[at] = from[order[static_cast<size_t>(i)] * inner];
        }
      }
    }
    return {};
  });
}

Status non_zero(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  return dispatch(ctx.node(), x.type(), NumbersAndBool{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    std::vector<int64_t> found;
    const std::span<const T> values = x.span<T>();
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] != T{0}) found.push_back(static_cast<int64_t>(i));
    }
    const auto count = static_cast<int64_t>(found.size());
    auto* out = ctx.out(0, DType::kInt64, {x.rank(), count}).template data<int64_t>();
    const Dims strides = strides_of(x.dims());
    for (int64_t axis = 0; axis < x.rank(); ++axis) {
      const auto a = static_cast<size_t>(axis);
      for (int64_t i = 0; i < count; ++i) {
        out[axis * count + i] = found[static_cast<size_t>(i)] / strides[a] % x.dims()[a];
      }
    }
    return {};
  });
}

// Slices of x along an axis (or its elements, if there is no axis), each as a contiguous row.
template <typename T>
std::vector<T> rows_along(const Tensor& x, int64_t outer, int64_t n, int64_t inner) {
  std::vector<T> rows(static_cast<size_t>(x.elements()));
  const T* in = elements<T>(x);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < inner; ++j) {
        rows[static_cast<size_t>((i * outer + o) * inner + j)] = in[(o * n + i) * inner + j];
      }
    }
  }
  return rows;
}

struct Groups {
  std::vector<int64_t> first;    ///< row where each group appears first, in output order
  std::vector<int64_t> inverse;  ///< group of each row
  std::vector<int64_t> counts;
};

// Groups equal rows of `width` elements; sorted by value or by first appearance.
template <typename T>
Groups group_rows(const std::vector<T>& rows, int64_t n, int64_t width, bool sorted) {
  auto less = [&](int64_t a, int64_t b) {
    auto pa = rows.begin() + a * width;
    auto pb = rows.begin() + b * width;
    return std::lexicographical_compare(pa, pa + width, pb, pb + width, precedes<T>);
  };
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), less);
  Groups groups;
  groups.inverse.resize(static_cast<size_t>(n));
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || less(order[i - 1], order[i])) {
      groups.first.push_back(order[i]);
      groups.counts.push_back(0);
    }
    ++groups.counts.back();
    groups.inverse[static_cast<size_t>(order[i])] = static_cast<int64_t>(groups.first.size()) - 1;
  }
  if (sorted) return groups;
  std::vector<int64_t> by_first(groups.first.size());
  std::iota(by_first.begin(), by_first.end(), int64_t{0});
  std::sort(by_first.begin(), by_first.end(), [&](int64_t a, int64_t b) {
    return groups.first[static_cast<size_t>(a)] < groups.first[static_cast<size_t>(b)];
  });
  Groups result;
  std::vector<int64_t> rank(by_first.size());
  for (size_t i = 0; i < by_first.size(); ++i) {
    const auto g = static_cast<size_t>(by_first[i]);
    rank[g] = static_cast<int64_t>(i);
    result.first.push_back(groups.first[g]);
    result.counts.push_back(groups.counts[g]);
  }
  for (int64_t g : groups.inverse) result.inverse.push_back(rank[static_cast<size_t>(g)]);
  return result;
}

template <typename T>
Status unique_of(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  const bool flat = !node.has("axis");
  int64_t axis = 0;
  if (!flat) {
    FEWBIT_ASSIGN(axis, normalize_axis(node, node.get_int("axis", 0), x.rank()));
  }
  const int64_t n = flat ? x.elements() : x.dim(axis);
  const int64_t outer = flat ? 1 : product(x.dims(), 0, axis);
  const int64_t inner = flat ? 1 : product(x.dims(), axis + 1, x.rank());
  const std::vector<T> rows = rows_along<T>(x, outer, n, inner);
  const Groups groups = group_rows(rows, n, outer * inner, node.get_int("sorted", 1) != 0);
  const auto count = static_cast<int64_t>(groups.first.size());

  Dims dims = flat ? Dims{count} : x.dims();
  dims[static_cast<size_t>(axis)] = count;
  Tensor& y = ctx.out(0, x.type(), dims);
  for (int64_t g = 0; g < count; ++g) {
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t j = 0; j < inner; ++j) {
        const int64_t row = groups.first[static_cast<size_t>(g)];
        elements<T>(y)[(o * count + g) * inner + j] =
            rows[static_cast<size_t>((row * outer + o) * inner + j)];
      }
    }
  }
  const std::vector<int64_t>* extra[] = {&groups.first, &groups.inverse, &groups.counts};
  for (size_t i = 0; i < 3 && i + 1 < ctx.output_count(); ++i) {
    ctx.set_out(i + 1, Tensor::from({static_cast<int64_t>(extra[i]->size())}, *extra[i]));
  }
  return {};
}

Status unique(OpContext& ctx) {
  if (ctx.in(0).type() == DType::kString) return unique_of<std::string>(ctx);
  return dispatch(ctx.node(), ctx.in(0).type(), NumbersAndBool{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, bool>) {
      return unique_of<uint8_t>(ctx);  // std::vector<bool> has no elements to point at
    } else {
      return unique_of<T>(ctx);
    }
  });
}

Status compress(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Tensor& condition = ctx.in(1);
  const Node& node = ctx.node();
  if (condition.type() != DType::kBool || condition.rank() != 1) {
    return node_error(node, "condition must be a bool vector, is {} {}", name_of(condition.type()),
                      to_string(condition.dims()));
  }
  const bool flat = !node.has("axis");
  int64_t axis = 0;
  if (!flat) {
    FEWBIT_ASSIGN(axis, normalize_axis(node, node.get_int("axis", 0), x.rank()));
  }
  const int64_t n = flat ? x.elements() : x.dim(axis);
  const int64_t outer = flat ? 1 : product(x.dims(), 0, axis);
  const int64_t inner = flat ? 1 : product(x.dims(), axis + 1, x.rank());
  if (condition.elements() > n) {
    return node_error(node, "condition of {} elements is longer than the axis, {}",
                      condition.elements(), n);
  }
  std::vector<int64_t> taken;
  for (int64_t i = 0; i < condition.elements(); ++i) {
    if (condition.data<bool>()[i]) taken.push_back(i);
  }
  Dims dims = flat ? Dims{0} : x.dims();
  dims[static_cast<size_t>(axis)] = static_cast<int64_t>(taken.size());
  return dispatch_storage(node, x.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    T* out = elements<T>(ctx.out(0, x.type(), dims));
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i : taken) out = std::copy_n(elements<T>(x) + (o * n + i) * inner, inner, out);
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "TopK", 1, in_float<top_k>},
    {"", "NonZero", 9, in_float<non_zero>},
    {"", "Unique", 11, in_float<unique>},
    {"", "Compress", 9, unpacked<compress>},
};

}  // namespace

std::span<const OpRow> search_table() {
  return kRows;
}

}  // namespace fewbit::ops
