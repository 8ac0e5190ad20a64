// Two or more inputs with NumPy broadcasting: out[i] = f(a[i], b[i], ...).
//
// Versions before 7 broadcast by the attributes `axis` and `broadcast`; they have no row here.

#include <cmath>
#include <type_traits>
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

// An operator on integers that gives the same bits for signed and unsigned ones is `kSignFree`: it
// is compiled for the unsigned types only.

struct Add {
  static constexpr bool kSignFree = true;
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
  static constexpr bool kSignFree = true;
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
  static constexpr bool kSignFree = true;
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
  static constexpr bool kSignFree = false;
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
  static constexpr bool kSignFree = false;
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
  static constexpr bool kSignFree = false;
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
  static constexpr bool kSignFree = false;
  template <typename T>
  T operator()(T a, T b) const {
    const T m = a > b ? a : b;
    return a != a ? a : m;  // a NaN on either side wins
  }
};

struct Min {
  static constexpr bool kSignFree = false;
  template <typename T>
  T operator()(T a, T b) const {
    const T m = a < b ? a : b;
    return a != a ? a : m;
  }
};

struct BitAnd {
  static constexpr bool kSignFree = true;
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};
struct BitOr {
  static constexpr bool kSignFree = true;
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};
struct BitXor {
  static constexpr bool kSignFree = true;
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};

// An amount that is negative or at least the width leaves only the sign's extension.
struct ShiftLeft {
  static constexpr bool kSignFree = true;
  template <typename T>
  T operator()(T a, T by) const {
    if (by < T{0} || static_cast<uint64_t>(by) >= 8 * sizeof(T)) return T{0};
    return static_cast<T>(static_cast<Wrapping<T>>(a) << by);
  }
};
struct ShiftRight {
  static constexpr bool kSignFree = false;
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
  static constexpr bool kSignFree = false;
  template <typename T>
  T operator()(T x, T slope) const {
    if constexpr (std::is_floating_point_v<T>) {
      return x < T{0} ? x * slope : x;
    } else {
      return x < T{0} ? wrap_mul(x, slope) : x;
    }
  }
};

template <typename T>
auto as_unsigned(T value) {
  if constexpr (std::is_same_v<T, bool>) {
    return static_cast<uint8_t>(value);
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<std::make_unsigned_t<T>>(value);
  } else {
    return value;
  }
}

template <typename Op, typename T>
void run_of_type(const std::byte* a, int64_t a_step, const std::byte* b, int64_t b_step,
                 std::byte* out, int64_t n) {
  using In = std::conditional_t<Op::kSignFree, decltype(as_unsigned(T{})), T>;
  if constexpr (std::is_same_v<In, T>) {
    using Out = decltype(Op{}(T{}, T{}));
    binary_run(reinterpret_cast<const T*>(a), a_step, reinterpret_cast<const T*>(b), b_step,
               reinterpret_cast<Out*>(out), n, Op{});
  } else {
    run_of_type<Op, In>(a, a_step, b, b_step, out, n);
  }
}

// The run of Op for a type of the list, or nullptr.
template <typename Op, typename... Ts>
BinaryRun find_run(DType type, Types<Ts...>) {
  BinaryRun run = nullptr;
  ((DTypeOf<Ts>::value == type ? void(run = run_of_type<Op, Ts>) : void()), ...);
  return run;
}

Status apply_run(OpContext& ctx, const Tensor& a, const Tensor& b, DType out_type, BinaryRun run) {
  FEWBIT_TRY(same_type(ctx.node(), a, b));
  FEWBIT_ASSIGN(BroadcastPlan plan, plan_broadcast(ctx.node(), {a.dims(), b.dims()}));
  if (run == nullptr) return type_error(ctx.node(), a.type());
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, out_type, plan.dims));
  broadcast_binary(plan, a, b, *out, run);
  return {};
}

// Applies Op to inputs 0 and 1, both of an element type of the list, into output 0.
template <typename Op, typename List>
Status arithmetic(OpContext& ctx) {
  const DType type = ctx.in(0).type();
  return apply_run(ctx, ctx.in(0), ctx.in(1), type, find_run<Op>(type, List{}));
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
  return arithmetic<Div, Numbers>(ctx);
}

Status mod(OpContext& ctx) {
  FEWBIT_TRY(refuse_zero_divisor(ctx));
  const bool truncate = ctx.node().get_int("fmod", 0) != 0;
  if (!truncate && ctx.opset() < 28 && !is_integer(ctx.in(0).type())) {
    return node_error(ctx.node(), "floating-point inputs need fmod = 1 before version 28");
  }
  return truncate ? arithmetic<TruncatedMod, Numbers>(ctx) : arithmetic<FloorMod, Numbers>(ctx);
}

Status bit_shift(OpContext& ctx) {
  const std::string direction = ctx.node().get_string("direction", "");
  if (direction == "LEFT") return arithmetic<ShiftLeft, Integers>(ctx);
  if (direction == "RIGHT") return arithmetic<ShiftRight, Integers>(ctx);
  return node_error(ctx.node(), "direction must be LEFT or RIGHT, is '{}'", direction);
}

Status swiglu(OpContext& ctx) {
  if (ctx.in(0).dims() != ctx.in(1).dims()) {
    return node_error(ctx.node(), "inputs must have one shape, have {} and {}",
                      to_string(ctx.in(0).dims()), to_string(ctx.in(1).dims()));
  }
  const Tensor& a = ctx.in(0);
  const Tensor& b = ctx.in(1);
  FEWBIT_TRY(same_type(ctx.node(), a, b));
  return dispatch(ctx.node(), a.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    T* out = ctx.out(0, a.type(), a.dims()).template data<T>();
    binary_run(a.data<T>(), 1, b.data<T>(), 1, out, a.elements(),
               GatedSwish{ctx.node().get_float("alpha", 1.0F)});
    return {};
  });
}

Status prelu(OpContext& ctx) {
  const Dims& x = ctx.in(0).dims();
  FEWBIT_ASSIGN(Dims out, broadcast_dims(ctx.node(), {x, ctx.in(1).dims()}));
  if (out != x) {
    return node_error(ctx.node(), "slope of shape {} does not broadcast to {}",
                      to_string(ctx.in(1).dims()), to_string(x));
  }
  return arithmetic<ParametricRelu, Numbers>(ctx);
}

// ---- comparison

struct EqualTo {
  static constexpr bool kSignFree = true;
  template <typename T>
  bool operator()(const T& a, const T& b) const {
    return a == b;
  }
};
struct LessThan {
  static constexpr bool kSignFree = false;
  template <typename T>
  bool operator()(T a, T b) const {
    return a < b;
  }
};
struct LessEqual {
  static constexpr bool kSignFree = false;
  template <typename T>
  bool operator()(T a, T b) const {
    return a <= b;
  }
};

template <typename Op, typename List>
Status compare(OpContext& ctx) {
  const BinaryRun run = find_run<Op>(ctx.in(0).type(), List{});
  return apply_run(ctx, ctx.in(0), ctx.in(1), DType::kBool, run);
}

// a > b is b < a.
template <typename Op, typename List>
Status compare_swapped(OpContext& ctx) {
  const BinaryRun run = find_run<Op>(ctx.in(0).type(), List{});
  return apply_run(ctx, ctx.in(1), ctx.in(0), DType::kBool, run);
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
Result<Tensor> fold_inputs(OpContext& ctx, BinaryRun run) {
  const Node& node = ctx.node();
  const DType type = ctx.in(0).type();
  for (size_t i = 0; i < ctx.input_count(); ++i) {
    FEWBIT_TRY(same_type(node, ctx.in(0), ctx.in(i)));
  }
  if (run == nullptr) return type_error(node, type);
  Tensor so_far = ctx.in(0);
  for (size_t i = 1; i < ctx.input_count(); ++i) {
    FEWBIT_ASSIGN(BroadcastPlan plan, plan_broadcast(node, {so_far.dims(), ctx.in(i).dims()}));
    FEWBIT_ASSIGN(Tensor next, make_tensor(node, type, plan.dims));
    broadcast_binary(plan, so_far, ctx.in(i), next, run);
    so_far = std::move(next);
  }
  return so_far;
}

template <typename Op>
Status variadic(OpContext& ctx) {
  FEWBIT_ASSIGN(Tensor folded, fold_inputs(ctx, find_run<Op>(ctx.in(0).type(), Numbers{})));
  ctx.set_out(0, std::move(folded));
  return {};
}

Status mean(OpContext& ctx) {
  FEWBIT_ASSIGN(Tensor sum, fold_inputs(ctx, find_run<Add>(ctx.in(0).type(), Floats{})));
  if (ctx.input_count() > 1) {
    FEWBIT_TRY(dispatch(ctx.node(), sum.type(), Floats{}, [&](auto tag) -> Status {
      using T = typename decltype(tag)::type;
      for (T& v : sum.span<T>()) v = static_cast<T>(v / static_cast<T>(ctx.input_count()));
      return {};
    }));
  }
  ctx.set_out(0, std::move(sum));
  return {};
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
    {"", "Greater", 7, in_float<compare_swapped<LessThan, Numbers>>},
    {"", "Less", 7, in_float<compare<LessThan, Numbers>>},
    {"", "GreaterOrEqual", 12, in_float<compare_swapped<LessEqual, Numbers>>},
    {"", "LessOrEqual", 12, in_float<compare<LessEqual, Numbers>>},
    {"", "Max", 7, in_float<variadic<Max>>},
    {"", "Min", 7, in_float<variadic<Min>>},
    {"", "Sum", 7, in_float<variadic<Add>>},
    {"", "Mean", 7, in_float<mean>},
    {"", "Where", 9, unpacked<where>},
};

}  // namespace

std::span<const OpRow> elementwise_binary_table() {
  return kRows;
}

}  // namespace fewbit::ops
