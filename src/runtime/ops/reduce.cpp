// Reductions along axes: Reduce*, ArgMax, ArgMin.
//
// Neighbouring axes of one kind (reduced or kept) are merged first. If the innermost merged axis is
// reduced, every output element is a sum over contiguous rows; if it is kept, a row of accumulators
// advances together. Both inner loops vectorise, and only they and the last step are compiled for
// each operator and element type. Floats accumulate in double, integers wrap.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/integer_math.h"
#include "runtime/ops/strided.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

struct ReducePlan {
  Dims out_dims;
  int64_t count = 1;  ///< elements that go into one output element
  // Merged axes, outermost first, without the innermost one.
  Dims kept, kept_strides;
  Dims reduced, reduced_strides;
  bool inner_reduced = false;
  int64_t inner = 1;
};

ReducePlan plan_reduction(const Dims& dims, const std::vector<bool>& is_reduced, bool keep_dims) {
  ReducePlan plan;
  Dims merged;
  std::vector<bool> kinds;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (is_reduced[i]) plan.count *= dims[i];
    if (!is_reduced[i]) plan.out_dims.push_back(dims[i]);
    if (is_reduced[i] && keep_dims) plan.out_dims.push_back(1);
    if (dims[i] == 1) continue;
    if (!kinds.empty() && kinds.back() == is_reduced[i]) {
      merged.back() *= dims[i];
    } else {
      merged.push_back(dims[i]);
      kinds.push_back(is_reduced[i]);
    }
  }
  if (merged.empty()) return plan;
  const Dims strides = strides_of(merged);
  plan.inner = merged.back();
  plan.inner_reduced = kinds.back();
  for (size_t i = 0; i + 1 < merged.size(); ++i) {
    (kinds[i] ? plan.reduced : plan.kept).push_back(merged[i]);
    (kinds[i] ? plan.reduced_strides : plan.kept_strides).push_back(strides[i]);
  }
  return plan;
}

// What one operator does to one element type. Accumulators are passed as bytes.
struct Reduction {
  size_t acc_bytes;
  size_t element_bytes;
  void (*reset)(std::byte* accs, int64_t n);
  /// accs[0] takes in the n elements of a row.
  void (*take_row)(std::byte* accs, const std::byte* x, int64_t n);
  /// accs[j] takes in x[j] for j < n.
  void (*take_each)(std::byte* accs, const std::byte* x, int64_t n);
  /// out[j] is the result of accs[j], which has taken in `count` elements.
  void (*finish)(const std::byte* accs, int64_t n, int64_t count, std::byte* out);
};

void run_reduction(const ReducePlan& plan, const Reduction& r, const std::byte* x, std::byte* out) {
  const auto size = static_cast<int64_t>(r.element_bytes);
  const int64_t width = plan.inner_reduced ? 1 : plan.inner;
  std::vector<std::byte> accs(static_cast<size_t>(width) * r.acc_bytes);
  const auto take = plan.inner_reduced ? r.take_row : r.take_each;
  walk(plan.kept, plan.kept_strides, [&](int64_t base) {
    r.reset(accs.data(), width);
    walk(plan.reduced, plan.reduced_strides,
         [&](int64_t at) { take(accs.data(), x + (base + at) * size, plan.inner); });
    r.finish(accs.data(), width, plan.count, out);
    out += width * size;
  });
}

template <typename R>
void reset(std::byte* accs, int64_t n) {
  std::fill_n(reinterpret_cast<typename R::Acc*>(accs), n, R::init());
}

template <typename R, typename T>
void take_row(std::byte* accs, const std::byte* bytes, int64_t n) {
  const T* x = reinterpret_cast<const T*>(bytes);
  // Independent lanes: the additions need not wait for one another.
  constexpr int64_t kLanes = 8;
  std::array<typename R::Acc, kLanes> lanes;
  lanes.fill(R::init());
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t k = 0; k < kLanes; ++k) R::step(lanes[static_cast<size_t>(k)], x[i + k]);
  }
  for (; i < n; ++i) R::step(lanes[0], x[i]);
  for (size_t k = 1; k < kLanes; ++k) R::merge(lanes[0], lanes[k]);
  R::merge(*reinterpret_cast<typename R::Acc*>(accs), lanes[0]);
}

template <typename R, typename T>
void take_each(std::byte* accs, const std::byte* bytes, int64_t n) {
  const T* x = reinterpret_cast<const T*>(bytes);
  auto* to = reinterpret_cast<typename R::Acc*>(accs);
  for (int64_t j = 0; j < n; ++j) R::step(to[j], x[j]);
}

template <typename Acc, typename Finish, typename T>
void finish(const std::byte* accs, int64_t n, int64_t count, std::byte* out) {
  const auto* from = reinterpret_cast<const Acc*>(accs);
  T* to = reinterpret_cast<T*>(out);
  for (int64_t j = 0; j < n; ++j) to[j] = Finish::template of<T>(from[j], count);
}

template <typename R, typename Finish, typename T>
constexpr Reduction reduction_of() {
  using Acc = typename R::Acc;
  return {sizeof(Acc),    sizeof(T),       reset<R>,
          take_row<R, T>, take_each<R, T>, finish<Acc, Finish, T>};
}

// ---- what is accumulated

template <typename T>
using WideAcc = std::conditional_t<std::is_floating_point_v<T>, double,
                                   std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;

template <typename A>
A add(A a, A b) {
  if constexpr (std::is_floating_point_v<A>) {
    return a + b;
  } else {
    return wrap_add(a, b);
  }
}
template <typename A>
A mul(A a, A b) {
  if constexpr (std::is_floating_point_v<A>) {
    return a * b;
  } else {
    return wrap_mul(a, b);
  }
}

struct AsIs {
  template <typename A>
  static A of(A v) {
    return v;
  }
};
struct Magnitude {
  template <typename A>
  static A of(A v) {
    if constexpr (std::is_floating_point_v<A>) {
      return std::fabs(v);
    } else {
      return v < A{0} ? wrap_negate(v) : v;
    }
  }
};
struct Square {
  template <typename A>
  static A of(A v) {
    return mul(v, v);
  }
};

template <typename T>
T from_double(double v) {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(v);
  } else {
    return saturate_to<T>(v);
  }
}

struct Total {
  template <typename T, typename A>
  static T of(A v, int64_t) {
    return static_cast<T>(v);
  }
};
struct Average {
  template <typename T, typename A>
  static T of(A v, int64_t n) {
    if constexpr (std::is_floating_point_v<A>) {
      return static_cast<T>(v / static_cast<A>(n));
    } else {
      return n == 0 ? T{0} : static_cast<T>(v / static_cast<A>(n));
    }
  }
};
struct Root {
  template <typename T, typename A>
  static T of(A v, int64_t) {
    return from_double<T>(std::sqrt(static_cast<double>(v)));
  }
};
struct Logarithm {
  template <typename T, typename A>
  static T of(A v, int64_t) {
    return from_double<T>(std::log(static_cast<double>(v)));
  }
};

// Sum of Map(x).
template <typename T, typename Map>
struct SumOf {
  using Acc = WideAcc<T>;
  static Acc init() { return Acc{0}; }
  static void step(Acc& acc, T x) { acc = add(acc, Map::of(static_cast<Acc>(x))); }
  static void merge(Acc& acc, const Acc& other) { acc = add(acc, other); }
};
template <typename T>
using Sum = SumOf<T, AsIs>;
template <typename T>
using SumOfMagnitudes = SumOf<T, Magnitude>;
template <typename T>
using SumOfSquares = SumOf<T, Square>;

template <typename T>
struct Product {
  using Acc = WideAcc<T>;
  static Acc init() { return Acc{1}; }
  static void step(Acc& acc, T x) { acc = mul(acc, static_cast<Acc>(x)); }
  static void merge(Acc& acc, const Acc& other) { acc = mul(acc, other); }
};

// A NaN wins on either side.
template <typename T>
struct Largest {
  using Acc = T;
  static Acc init() {
    return std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity()
                                       : std::numeric_limits<T>::lowest();
  }
  static void step(Acc& acc, Acc x) { acc = x > acc || x != x ? x : acc; }
  static void merge(Acc& acc, const Acc& other) { step(acc, other); }
};
template <typename T>
struct Smallest {
  using Acc = T;
  static Acc init() {
    return std::is_floating_point_v<T> ? std::numeric_limits<T>::infinity()
                                       : std::numeric_limits<T>::max();
  }
  static void step(Acc& acc, Acc x) { acc = x < acc || x != x ? x : acc; }
  static void merge(Acc& acc, const Acc& other) { step(acc, other); }
};

// log(sum e^x) in one pass: the sum is kept relative to the largest element so far.
struct RelativeSum {
  double largest = -std::numeric_limits<double>::infinity();
  double sum = 0;  ///< of e^(x - largest)
};
template <typename T>
struct SumOfExponentials {
  using Acc = RelativeSum;
  static Acc init() { return {}; }
  static void step(Acc& acc, T x) { merge(acc, {static_cast<double>(x), 1.0}); }
  static void merge(Acc& acc, const Acc& other) {
    if (other.largest > acc.largest) {
      acc.sum = acc.sum * std::exp(acc.largest - other.largest) + other.sum;
      acc.largest = other.largest;
    } else if (other.largest == acc.largest) {  // also where both are infinite
      acc.sum += other.sum;
    } else {  // smaller, or NaN on one side
      acc.sum += other.sum * std::exp(other.largest - acc.largest);
    }
  }
};
struct LogOfSum {
  template <typename T>
  static T of(const RelativeSum& acc, int64_t) {
    if (std::isnan(acc.sum)) return from_double<T>(acc.sum);
    if (std::isinf(acc.largest)) return from_double<T>(acc.largest);
    return from_double<T>(acc.largest + std::log(acc.sum));
  }
};

// ---- the operator

/// Which axes are reduced. Axes are an input from version `axes_input_since` on.
Result<std::vector<bool>> reduced_axes(OpContext& ctx, int axes_input_since) {
  const int64_t rank = ctx.in(0).rank();
  FEWBIT_ASSIGN(auto axes, axes_argument(ctx, 1, axes_input_since));
  if (!axes || axes->empty()) {
    const bool none = ctx.node().get_int("noop_with_empty_axes", 0) != 0;
    return std::vector<bool>(static_cast<size_t>(rank), !none);
  }
  FEWBIT_ASSIGN(std::vector<int64_t> normal, normalize_axes(ctx.node(), *axes, rank));
  std::vector<bool> mask(static_cast<size_t>(rank), false);
  for (int64_t a : normal) mask[static_cast<size_t>(a)] = true;
  return mask;
}

Status run_reduce(OpContext& ctx, int axes_input_since, const Reduction* reduction) {
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(std::vector<bool> mask, reduced_axes(ctx, axes_input_since));
  const ReducePlan plan = plan_reduction(x.dims(), mask, ctx.node().get_int("keepdims", 1) != 0);
  if (reduction == nullptr) return type_error(ctx.node(), x.type());
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, x.type(), plan.out_dims));
  run_reduction(plan, *reduction, x.raw(), out->raw());
  return {};
}

template <template <typename> typename R, typename Finish, typename T>
constexpr Reduction kReduction = reduction_of<R<T>, Finish, T>();

// The reduction for a type of the list, or nullptr.
template <template <typename> typename R, typename Finish, typename... Ts>
const Reduction* find_reduction(DType type, Types<Ts...>) {
  const Reduction* found = nullptr;
  ((DTypeOf<Ts>::value == type ? void(found = &kReduction<R, Finish, Ts>) : void()), ...);
  return found;
}

// The types that the standard lists for all but the extremes.
using SumTypes = Types<float, double, int32_t, int64_t, uint32_t, uint64_t>;

template <template <typename> typename R, typename Finish, int kAxesInputSince = 18>
Status sum_like(OpContext& ctx) {
  return run_reduce(ctx, kAxesInputSince, find_reduction<R, Finish>(ctx.in(0).type(), SumTypes{}));
}

template <template <typename> typename R>
Status extreme(OpContext& ctx) {
  return run_reduce(ctx, 18, find_reduction<R, Total>(ctx.in(0).type(), NumbersAndBool{}));
}

Status arg_extreme(OpContext& ctx, bool largest) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(int64_t axis, normalize_axis(node, node.get_int("axis", 0), x.rank()));
  const bool take_last = node.get_int("select_last_index", 0) != 0;
  const int64_t n = x.dim(axis);
  const int64_t outer = product(x.dims(), 0, axis);
  const int64_t inner = product(x.dims(), axis + 1, x.rank());
  if (n == 0 && outer * inner > 0) return node_error(node, "axis {} is empty", axis);
  Dims dims = x.dims();
  if (node.get_int("keepdims", 1) != 0) {
    dims[static_cast<size_t>(axis)] = 1;
  } else {
    dims.erase(dims.begin() + axis);
  }
  return dispatch(node, x.type(), Numbers{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    auto* out = ctx.out(0, DType::kInt64, dims).template data<int64_t>();
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t j = 0; j < inner; ++j) {
        const T* from = x.data<T>() + o * n * inner + j;
        int64_t best = 0;
        for (int64_t i = 1; i < n; ++i) {
          const T v = from[i * inner];
          const T so_far = from[best * inner];
          const bool better = largest ? v > so_far : v < so_far;
          const bool nan_wins = v != v && so_far == so_far;
          if (so_far == so_far ? better || nan_wins || (take_last && v == so_far)
                               : take_last && v != v) {
            best = i;
          }
        }
        out[o * inner + j] = best;
      }
    }
    return {};
  });
}

Status arg_max(OpContext& ctx) {
  return arg_extreme(ctx, true);
}

Status arg_min(OpContext& ctx) {
  return arg_extreme(ctx, false);
}

constexpr OpRow kRows[] = {
    {"", "ReduceSum", 1, in_float<sum_like<Sum, Total, 13>>},
    {"", "ReduceMean", 1, in_float<sum_like<Sum, Average>>},
    {"", "ReduceL1", 1, in_float<sum_like<SumOfMagnitudes, Total>>},
    {"", "ReduceL2", 1, in_float<sum_like<SumOfSquares, Root>>},
    {"", "ReduceSumSquare", 1, in_float<sum_like<SumOfSquares, Total>>},
    {"", "ReduceLogSum", 1, in_float<sum_like<Sum, Logarithm>>},
    {"", "ReduceLogSumExp", 1, in_float<sum_like<SumOfExponentials, LogOfSum>>},
    {"", "ReduceProd", 1, in_float<sum_like<Product, Total>>},
    {"", "ReduceMax", 1, in_float<extreme<Largest>>},
    {"", "ReduceMin", 1, in_float<extreme<Smallest>>},
    {"", "ArgMax", 1, in_float<arg_max>},
    {"", "ArgMin", 1, in_float<arg_min>},
};

}  // namespace

std::span<const OpRow> reduce_table() {
  return kRows;
}

}  // namespace fewbit::ops
