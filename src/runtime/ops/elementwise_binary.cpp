// Two or more inputs with NumPy broadcasting: out[i] = f(a[i], b[i], ...).
//
// Versions before 7 broadcast by the attributes `axis` and `broadcast`; they have no row here.

#include <cmath>
#include <utility>

#include "runtime/ops/broadcast.h"
#include "runtime/ops/dispatch.h"
#include "runtime/ops/integer_math.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

Status same_type(const Node& node, const Tensor& a, const Tensor& b) {
  if (a.type() == b.type()) return {};
  return node_error(node, "inputs have different types, {} and {}", name_of(a.type()),
                    name_of(b.type()));
}

struct Add {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a + b;
    } else {
      return wrap_add(a, b);
    }
  }
};

struct Sub {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a - b;
    } else {
      return wrap_sub(a, b);
    }
  }
};

struct Mul {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a * b;
    } else {
      return wrap_mul(a, b);
    }
  }
};

struct Div {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a / b;
    } else {
      return wrap_div(a, b);
    }
  }
};

// Remainder with the sign of the divisor (Python's %).
struct FloorMod {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      const T r = std::fmod(a, b);
      if (r == T{0}) return std::copysign(T{0}, b);
      return (r < T{0}) != (b < T{0}) ? r + b : r;
    } else if constexpr (std::is_signed_v<T>) {
      if (b == -1) return T{0};
      const T r = static_cast<T>(a % b);
      return r != 0 && (r < 0) != (b < 0) ? static_cast<T>(r + b) : r;
    } else {
      return static_cast<T>(a % b);
    }
  }
};

// Remainder with the sign of the dividend (C's % and fmod).
struct TruncatedMod {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return std::fmod(a, b);
    } else {
      if constexpr (std::is_signed_v<T>) {
        if (b == -1) return T{0};
      }
      return static_cast<T>(a % b);
    }
  }
};

struct Max {
  template <typename T>
  T operator()(T a, T b) const {
    const T m = a > b ? a : b;
    return a != a ? a : m;  // a NaN on either side wins
  }
};

struct Min {
  template <typename T>
  T operator()(T a, T b) const {
    const T m = a < b ? a : b;
    return a != a ? a : m;
  }
};

struct BitAnd {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};
struct BitOr {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};
struct BitXor {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};

// An amount that is negative or at least the width leaves only the sign's extension.
struct ShiftLeft {
  template <typename T>
  T operator()(T a, T by) const {
    if (by < T{0} || static_cast<uint64_t>(by) >= 8 * sizeof(T)) return T{0};
    return static_cast<T>(static_cast<Wrapping<T>>(a) << by);
  }
};
struct ShiftRight {
  template <typename T>
  T operator()(T a, T by) const {
    if (by < T{0} || static_cast<uint64_t>(by) >= 8 * sizeof(T)) {
      return a < T{0} ? static_cast<T>(-1) : T{0};
    }
    return static_cast<T>(a >> by);
  }
};

// a * sigmoid(alpha * a) * b
struct GatedSwish {
  float alpha;
  template <typename T>
  T operator()(T a, T b) const {
    return a / (T{1} + std::exp(-static_cast<T>(alpha) * a)) * b;
  }
};

struct ParametricRelu {
  template <typename T>
  T operator()(T x, T slope) const {
    if constexpr (std::is_floating_point_v<T>) {
      return x < T{0} ? x * slope : x;
    } else {
      return x < T{0} ? wrap_mul(x, slope) : x;
    }
  }
};

// Applies op to inputs 0 and 1, both of an element type of the list, into output 0.
template <typename List, typename Op>
Status apply(OpContext& ctx, Op op) {
  const Tensor& a = ctx.in(0);
  const Tensor& b = ctx.in(1);
  FEWBIT_TRY(same_type(ctx.node(), a, b));
  FEWBIT_ASSIGN(BroadcastPlan plan, plan_broadcast(ctx.node(), {a.dims(), b.dims()}));
  return dispatch(ctx.node(), a.type(), List{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, a.type(), plan.dims));
    broadcast_binary(plan, a.data<T>(), b.data<T>(), out->template data<T>(), op);
    return {};
  });
}

template <typename Op, typename List>
Status arithmetic(OpContext& ctx) {
  return apply<List>(ctx, Op{});
}

Status refuse_zero_divisor(OpContext& ctx) {
  const Tensor& b = ctx.in(1);
  if (!is_integer(b.type())) return {};
  return dispatch(ctx.node(), b.type(), Integers{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    for (T v : b.span<T>()) {
      if (v == T{0}) return node_error(ctx.node(), "integer division by zero");
    }
    return {};
  });
}

Status div(OpContext& ctx) {
  FEWBIT_TRY(refuse_zero_divisor(ctx));
  return apply<Numbers>(ctx, Div{});
}

Status mod(OpContext& ctx) {
  FEWBIT_TRY(refuse_zero_divisor(ctx));
  const bool truncate = ctx.node().get_int("fmod", 0) != 0;
  if (!truncate && ctx.opset() < 28 && !is_integer(ctx.in(0).type())) {
    return node_error(ctx.node(), "floating-point inputs need fmod = 1 before version 28");
  }
  return truncate ? apply<Numbers>(ctx, TruncatedMod{}) : apply<Numbers>(ctx, FloorMod{});
}

Status bit_shift(OpContext& ctx) {
  const std::string direction = ctx.node().get_string("direction", "");
  if (direction == "LEFT") return apply<Integers>(ctx, ShiftLeft{});
  if (direction == "RIGHT") return apply<Integers>(ctx, ShiftRight{});
  return node_error(ctx.node(), "direction must be LEFT or RIGHT, is '{}'", direction);
}

Status swiglu(OpContext& ctx) {
  if (ctx.in(0).dims() != ctx.in(1).dims()) {
    return node_error(ctx.node(), "inputs must have one shape, have {} and {}",
                      to_string(ctx.in(0).dims()), to_string(ctx.in(1).dims()));
  }
  return apply<Floats>(ctx, GatedSwish{ctx.node().get_float("alpha", 1.0F)});
}

Status prelu(OpContext& ctx) {
  const Dims& x = ctx.in(0).dims();
  FEWBIT_ASSIGN(Dims out, broadcast_dims(ctx.node(), {x, ctx.in(1).dims()}));
  if (out != x) {
    return node_error(ctx.node(), "slope of shape {} does not broadcast to {}",
                      to_string(ctx.in(1).dims()), to_string(x));
  }
  return apply<Numbers>(ctx, ParametricRelu{});
}

// ---- power: base and exponent may differ in type; the result has the base's

template <typename T>
T integer_power(T base, uint64_t exponent) {
  T result = 1;
  for (; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = wrap_mul(result, base);
    base = wrap_mul(base, base);
  }
  return result;
}

template <typename T, typename E>
T power(T base, E exponent) {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(std::pow(base, static_cast<T>(exponent)));
  } else {
    if constexpr (std::is_integral_v<E>) {
      if (exponent >= E{0}) return integer_power(base, static_cast<uint64_t>(exponent));
    }
    return saturate_to<T>(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
}

Status wide_pow(OpContext& ctx) {
  const Tensor& a = ctx.in(0);
  Tensor b = ctx.in(1);
  if (is_narrow_float(b.type())) {
    FEWBIT_ASSIGN(b, cast(b, DType::kFloat32));
  }
  FEWBIT_ASSIGN(BroadcastPlan plan, plan_broadcast(ctx.node(), {a.dims(), b.dims()}));
  using Bases = Types<float, double, int32_t, int64_t>;
  return dispatch(ctx.node(), a.type(), Bases{}, [&](auto base_tag) -> Status {
    using T = typename decltype(base_tag)::type;
    return dispatch(ctx.node(), b.type(), Numbers{}, [&](auto exponent_tag) -> Status {
      using E = typename decltype(exponent_tag)::type;
      FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, a.type(), plan.dims));
      const T* base = a.data<T>();
      const E* exponent = std::as_const(b).data<E>();
      T* to = out->template data<T>();
      // The square of a float is by far the most frequent power in real networks.
      if (std::is_floating_point_v<T> && b.elements() == 1 && *exponent == E{2}) {
        for (int64_t i = 0; i < out->elements(); ++i) to[i] = base[i] * base[i];
        return {};
      }
      broadcast_binary(plan, base, exponent, to, [](T x, E e) { return power(x, e); });
      return {};
    });
  });
}

// Only the base decides whether the result is narrow.
Status pow(OpContext& ctx) {
  return is_narrow_float(ctx.in(0).type()) ? run_in_float(ctx, wide_pow) : wide_pow(ctx);
}

// ---- comparison

struct EqualTo {
  template <typename T>
  bool operator()(const T& a, const T& b) const {
    return a == b;
  }
};
struct GreaterThan {
  template <typename T>
  bool operator()(T a, T b) const {
    return a > b;
  }
};
struct LessThan {
  template <typename T>
  bool operator()(T a, T b) const {
    return a < b;
  }
};
struct GreaterEqual {
  template <typename T>
  bool operator()(T a, T b) const {
    return a >= b;
  }
};
struct LessEqual {
  template <typename T>
  bool operator()(T a, T b) const {
    return a <= b;
  }
};

template <typename Op, typename List>
Status compare(OpContext& ctx) {
  const Tensor& a = ctx.in(0);
  const Tensor& b = ctx.in(1);
  FEWBIT_TRY(same_type(ctx.node(), a, b));
  FEWBIT_ASSIGN(BroadcastPlan plan, plan_broadcast(ctx.node(), {a.dims(), b.dims()}));
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, DType::kBool, plan.dims));
  return dispatch(ctx.node(), a.type(), List{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    broadcast_binary(plan, a.data<T>(), b.data<T>(), out->template data<bool>(), Op{});
    return {};
  });
}

Status equal(OpContext& ctx) {
  if (ctx.in(0).type() != DType::kString) return compare<EqualTo, NumbersAndBool>(ctx);
  const Tensor& a = ctx.in(0);
  const Tensor& b = ctx.in(1);
  FEWBIT_TRY(same_type(ctx.node(), a, b));
  FEWBIT_ASSIGN(BroadcastPlan plan, plan_broadcast(ctx.node(), {a.dims(), b.dims()}));
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, DType::kBool, plan.dims));
  broadcast_binary(plan, elements<std::string>(a), elements<std::string>(b), out->data<bool>(),
                   EqualTo{});
  return {};
}

// ---- any number of inputs

// Folds the inputs from the left: the result so far is broadcast with the next input.
template <typename Op, bool kMean = false>
Status variadic(OpContext& ctx) {
  const Node& node = ctx.node();
  const DType type = ctx.in(0).type();
  std::vector<Dims> shapes;
  for (size_t i = 0; i < ctx.input_count(); ++i) {
    FEWBIT_TRY(same_type(node, ctx.in(0), ctx.in(i)));
    shapes.push_back(ctx.in(i).dims());
  }
  return dispatch(node, type, Numbers{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    Tensor sum = ctx.in(0);
    for (size_t i = 1; i < ctx.input_count(); ++i) {
      FEWBIT_ASSIGN(BroadcastPlan plan, plan_broadcast(node, {sum.dims(), shapes[i]}));
      FEWBIT_ASSIGN(Tensor next, make_tensor(node, type, plan.dims));
      broadcast_binary(plan, std::as_const(sum).data<T>(), ctx.in(i).data<T>(), next.data<T>(),
                       Op{});
      sum = std::move(next);
    }
    if (kMean && ctx.input_count() > 1) {
      for (T& v : sum.span<T>()) v = static_cast<T>(v / static_cast<T>(ctx.input_count()));
    }
    ctx.set_out(0, std::move(sum));
    return {};
  });
}

// ---- selection

Status where(OpContext& ctx) {
  const Tensor& condition = ctx.in(0);
  const Tensor& x = ctx.in(1);
  const Tensor& y = ctx.in(2);
  FEWBIT_TRY(same_type(ctx.node(), x, y));
  if (condition.type() != DType::kBool) {
    return node_error(ctx.node(), "condition must be bool, is {}", name_of(condition.type()));
  }
  FEWBIT_ASSIGN(BroadcastPlan plan,
                plan_broadcast(ctx.node(), {condition.dims(), x.dims(), y.dims()}));
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, x.type(), plan.dims));
  return dispatch_storage(ctx.node(), x.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const bool* c = condition.data<bool>();
    const T* px = elements<T>(x);
    const T* py = elements<T>(y);
    T* po = elements<T>(*out);
    for_each_run(plan, [&](int64_t at, const auto& offsets, int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        const T* from = c[offsets[0] + i * plan.run_stride[0]]
                            ? px + offsets[1] + i * plan.run_stride[1]
                            : py + offsets[2] + i * plan.run_stride[2];
        po[at + i] = *from;
      }
    });
    return {};
  });
}

using Bool = Types<bool>;

constexpr OpRow kRows[] = {
    {"", "Add", 7, in_float<arithmetic<Add, Numbers>>},
    {"", "Sub", 7, in_float<arithmetic<Sub, Numbers>>},
    {"", "Mul", 7, in_float<arithmetic<Mul, Numbers>>},
    {"", "Div", 7, in_float<div>},
    {"", "Mod", 10, in_float<mod>},
    {"", "Pow", 7, pow},
    {"", "PRelu", 7, in_float<prelu>},
    {"", "SwiGLU", 28, in_float<swiglu>},
    {"", "BitShift", 11, bit_shift},
    {"", "BitwiseAnd", 18, arithmetic<BitAnd, Integers>},
    {"", "BitwiseOr", 18, arithmetic<BitOr, Integers>},
    {"", "BitwiseXor", 18, arithmetic<BitXor, Integers>},
    {"", "And", 7, arithmetic<BitAnd, Bool>},
    {"", "Or", 7, arithmetic<BitOr, Bool>},
    {"", "Xor", 7, arithmetic<BitXor, Bool>},
    {"", "Equal", 7, in_float<equal>},
    {"", "Greater", 7, in_float<compare<GreaterThan, Numbers>>},
    {"", "Less", 7, in_float<compare<LessThan, Numbers>>},
    {"", "GreaterOrEqual", 12, in_float<compare<GreaterEqual, Numbers>>},
    {"", "LessOrEqual", 12, in_float<compare<LessEqual, Numbers>>},
    {"", "Max", 8, in_float<variadic<Max>>},
    {"", "Min", 8, in_float<variadic<Min>>},
    {"", "Sum", 8, in_float<variadic<Add>>},
    {"", "Mean", 8, in_float<variadic<Add, true>>},
    {"", "Where", 9, unpacked<where>},
};

}  // namespace

std::span<const OpRow> elementwise_binary_table() {
  return kRows;
}

}  // namespace fewbit::ops
