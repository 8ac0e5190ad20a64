// CumSum and CumProd: running totals along one axis.

#include "runtime/ops/dispatch.h"
#include "runtime/ops/integer_math.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

struct Sum {
  static constexpr int kStart = 0;
  template <typename A>
  static A join(A a, A b) {
    if constexpr (std::is_floating_point_v<A>) {
      return a + b;
    } else {
      return wrap_add(a, b);
    }
  }
};

struct Product {
  static constexpr int kStart = 1;
  template <typename A>
  static A join(A a, A b) {
    if constexpr (std::is_floating_point_v<A>) {
      return a * b;
    } else {
      return wrap_mul(a, b);
    }
  }
};

template <typename Op>
Status cumulate(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(int64_t given, read_int(node, ctx.in(1), "axis"));
  FEWBIT_ASSIGN(int64_t axis, normalize_axis(node, given, x.rank()));
  const bool exclusive = node.get_int("exclusive", 0) != 0;
  const bool reverse = node.get_int("reverse", 0) != 0;
  const int64_t n = x.dim(axis);
  const int64_t outer = product(x.dims(), 0, axis);
  const int64_t inner = product(x.dims(), axis + 1, x.rank());
  using List = Types<float, double, int32_t, int64_t, uint32_t, uint64_t>;
  return dispatch(node, x.type(), List{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    using Acc = std::conditional_t<std::is_floating_point_v<T>, double, T>;
    const T* in = x.data<T>();
    T* out = ctx.out(0, x.type(), x.dims()).template data<T>();
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t j = 0; j < inner; ++j) {
        Acc acc = Op::kStart;
        for (int64_t i = 0; i < n; ++i) {
          const int64_t at = (o * n + (reverse ? n - 1 - i : i)) * inner + j;
          const Acc next = Op::join(acc, static_cast<Acc>(in[at]));
          out[at] = static_cast<T>(exclusive ? acc : next);
          acc = next;
        }
      }
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "CumSum", 11, in_float<cumulate<Sum>>},
    {"", "CumProd", 26, in_float<cumulate<Product>>},
};

}  // namespace

std::span<const OpRow> cumulative_table() {
  return kRows;
}

}  // namespace fewbit::ops
