// Operators whose output depends on the order or the presence of values: TopK, Unique, NonZero,
// Compress.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/strided.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

// Numbers as integers of the same order, so that sorting is compiled once for all element types.
// NaN comes after every number (as numpy sorts), and all NaN are one value, as are both zeros.
template <typename T>
uint64_t sort_key(T value) {
  constexpr uint64_t kSign = uint64_t{1} << 63;
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) return ~uint64_t{0};
    const auto bits = std::bit_cast<uint64_t>(static_cast<double>(value) + 0.0);  // -0 becomes 0
    return (bits & kSign) != 0 ? ~bits : bits | kSign;
  } else if constexpr (std::is_signed_v<T>) {
    return static_cast<uint64_t>(static_cast<int64_t>(value)) ^ kSign;
  } else {
    return static_cast<uint64_t>(value);
  }
}

// Strings: the place of each in the sorted list of all.
std::vector<uint64_t> string_keys(std::span<const std::string> strings) {
  std::vector<std::string_view> sorted(strings.begin(), strings.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<uint64_t> keys;
  for (const std::string& s : strings) {
    auto place = std::lower_bound(sorted.begin(), sorted.end(), std::string_view(s));
    keys.push_back(static_cast<uint64_t>(place - sorted.begin()));
  }
  return keys;
}

Result<std::vector<uint64_t>> sort_keys(const Node& node, const Tensor& x) {
  if (x.type() == DType::kString) return string_keys(x.strings());
  std::vector<uint64_t> keys(static_cast<size_t>(x.elements()));
  FEWBIT_TRY(dispatch(node, x.type(), NumbersAndBool{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const T* in = x.data<T>();
    for (size_t i = 0; i < keys.size(); ++i) keys[i] = sort_key(in[i]);
    return {};
  }));
  return keys;
}

// to[i] = from[indices[i]], any element type.
void take(const Tensor& from, std::span<const int64_t> indices, Tensor& to) {
  if (from.type() == DType::kString) {
    for (size_t i = 0; i < indices.size(); ++i) {
      to.strings()[i] = from.strings()[static_cast<size_t>(indices[i])];
    }
    return;
  }
  const auto size = static_cast<size_t>(bytes_of(from.type(), 1));
  for (size_t i = 0; i < indices.size(); ++i) {
    std::memcpy(to.raw() + i * size, from.raw() + static_cast<size_t>(indices[i]) * size, size);
  }
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
  if (x.type() == DType::kBool || x.type() == DType::kString) return type_error(node, x.type());
  FEWBIT_ASSIGN(const std::vector<uint64_t> keys, sort_keys(node, x));
  auto* indices = ctx.out(1, DType::kInt64, dims).data<int64_t>();
  std::vector<int64_t> sources(static_cast<size_t>(outer * k * inner));
  std::vector<std::pair<uint64_t, int64_t>> line(static_cast<size_t>(n));
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t j = 0; j < inner; ++j) {
      const int64_t from = o * n * inner + j;
      // Inverted keys put the largest first; equal values keep the order of their indices.
      for (int64_t i = 0; i < n; ++i) {
        const uint64_t key = keys[static_cast<size_t>(from + i * inner)];
        line[static_cast<size_t>(i)] = {largest ? ~key : key, i};
      }
      std::partial_sort(line.begin(), line.begin() + k, line.end());
      for (int64_t i = 0; i < k; ++i) {
        const int64_t at = (o * k + i) * inner + j;
        indices[at] = line[static_cast<size_t>(i)].second;
        sources[static_cast<size_t>(at)] = from + indices[at] * inner;
      }
    }
  }
  take(x, sources, ctx.out(0, x.type(), dims));
  return {};
}

Status non_zero(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  if (x.type() == DType::kString) return type_error(ctx.node(), x.type());
  FEWBIT_ASSIGN(const Tensor flags, cast(x, DType::kBool));
  std::vector<int64_t> found;
  for (int64_t i = 0; i < flags.elements(); ++i) {
    if (flags.data<bool>()[i]) found.push_back(i);
  }
  const auto count = static_cast<int64_t>(found.size());
  auto* out = ctx.out(0, DType::kInt64, {x.rank(), count}).data<int64_t>();
  const Dims strides = strides_of(x.dims());
  for (int64_t axis = 0; axis < x.rank(); ++axis) {
    const auto a = static_cast<size_t>(axis);
    for (int64_t i = 0; i < count; ++i) {
      out[axis * count + i] = found[static_cast<size_t>(i)] / strides[a] % x.dims()[a];
    }
  }
  return {};
}

// The keys of slices of x along an axis (or of its elements, if there is no axis), each as a
// contiguous row.
std::vector<uint64_t> rows_along(const std::vector<uint64_t>& keys, int64_t outer, int64_t n,
                                 int64_t inner) {
  std::vector<uint64_t> rows(keys.size());
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < inner; ++j) {
        rows[static_cast<size_t>((i * outer + o) * inner + j)] =
            keys[static_cast<size_t>((o * n + i) * inner + j)];
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

// Groups equal rows of `width` keys; sorted by value or by first appearance.
Groups group_rows(const std::vector<uint64_t>& rows, int64_t n, int64_t width, bool sorted) {
  auto less = [&](int64_t a, int64_t b) {
    auto pa = rows.begin() + a * width;
    auto pb = rows.begin() + b * width;
    return std::lexicographical_compare(pa, pa + width, pb, pb + width);
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

Status unique(OpContext& ctx) {
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
  FEWBIT_ASSIGN(const std::vector<uint64_t> keys, sort_keys(node, x));
  const std::vector<uint64_t> rows = rows_along(keys, outer, n, inner);
  const Groups groups = group_rows(rows, n, outer * inner, node.get_int("sorted", 1) != 0);
  const auto count = static_cast<int64_t>(groups.first.size());

  Dims dims = flat ? Dims{count} : x.dims();
  dims[static_cast<size_t>(axis)] = count;
  std::vector<int64_t> sources;
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t row : groups.first) {
      for (int64_t j = 0; j < inner; ++j) sources.push_back((o * n + row) * inner + j);
    }
  }
  take(x, sources, ctx.out(0, x.type(), dims));
  const std::vector<int64_t>* extra[] = {&groups.first, &groups.inverse, &groups.counts};
  for (size_t i = 0; i < 3 && i + 1 < ctx.output_count(); ++i) {
    ctx.set_out(i + 1, Tensor::from({static_cast<int64_t>(extra[i]->size())}, *extra[i]));
  }
  return {};
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
