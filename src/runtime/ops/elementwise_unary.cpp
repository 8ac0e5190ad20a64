// One input, one output of the same shape: out[i] = f(x[i]).
//
// Each functor is built from its node (it reads its attributes there) and is called with float,
// double or an integer type. Formulas are those of the ONNX operator pages.

#include <cmath>
#include <limits>
#include <numbers>

#include "base/random.h"
#include "runtime/ops/dispatch.h"
#include "runtime/ops/integer_math.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

struct Plain {
  explicit Plain(const Node&) {}
};

struct Abs : Plain {
  using Plain::Plain;
  template <typename T>
  T operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>) {
      return std::fabs(x);
    } else if constexpr (std::is_signed_v<T>) {
      return x < 0 ? wrap_negate(x) : x;
    } else {
      return x;
    }
  }
};

struct Neg : Plain {
  using Plain::Plain;
  template <typename T>
  T operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>) {
      return -x;
    } else {
      return wrap_negate(x);
    }
  }
};

struct Sign : Plain {
  using Plain::Plain;
  template <typename T>
  T operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(x)) return x;
    }
    return static_cast<T>(static_cast<int>(x > T{0}) - static_cast<int>(x < T{0}));
  }
};

struct Relu : Plain {
  using Plain::Plain;
  template <typename T>
  T operator()(T x) const {
    return x < T{0} ? T{0} : x;  // NaN stays NaN
  }
};

// A functor without attributes from an expression over a floating-point x of type T.
#define FEWBIT_FLOAT_FUNCTOR(Name, ...)   \
  struct Name : Plain {                   \
    using Plain::Plain;                   \
    template <typename T>                 \
    T operator()(T x) const {             \
      return static_cast<T>(__VA_ARGS__); \
    }                                     \
  };

template <typename T>
T sigmoid(T x) {
  return T{1} / (T{1} + std::exp(-x));
}

// log(1 + e^x) without overflow for large x and without loss for small ones.
template <typename T>
T softplus(T x) {
  return (x > T{0} ? x : T{0}) + std::log1p(std::exp(-std::fabs(x))) + (x - x);
}

FEWBIT_FLOAT_FUNCTOR(Exp, std::exp(x))
FEWBIT_FLOAT_FUNCTOR(Log, std::log(x))
FEWBIT_FLOAT_FUNCTOR(Sqrt, std::sqrt(x))
FEWBIT_FLOAT_FUNCTOR(Reciprocal, T{1} / x)
FEWBIT_FLOAT_FUNCTOR(Erf, std::erf(x))
FEWBIT_FLOAT_FUNCTOR(Sigmoid, sigmoid(x))
FEWBIT_FLOAT_FUNCTOR(Softplus, std::isinf(x) ? (x > T{0} ? x : T{0}) : softplus(x))
FEWBIT_FLOAT_FUNCTOR(Softsign, x / (T{1} + std::fabs(x)))
FEWBIT_FLOAT_FUNCTOR(Mish, x* std::tanh(softplus(x)))
FEWBIT_FLOAT_FUNCTOR(Ceil, std::ceil(x))
FEWBIT_FLOAT_FUNCTOR(Floor, std::floor(x))
FEWBIT_FLOAT_FUNCTOR(Round, std::nearbyint(x))  // the default rounding mode: halves to even
FEWBIT_FLOAT_FUNCTOR(Sin, std::sin(x))
FEWBIT_FLOAT_FUNCTOR(Cos, std::cos(x))
FEWBIT_FLOAT_FUNCTOR(Tan, std::tan(x))
FEWBIT_FLOAT_FUNCTOR(Asin, std::asin(x))
FEWBIT_FLOAT_FUNCTOR(Acos, std::acos(x))
FEWBIT_FLOAT_FUNCTOR(Atan, std::atan(x))
FEWBIT_FLOAT_FUNCTOR(Sinh, std::sinh(x))
FEWBIT_FLOAT_FUNCTOR(Cosh, std::cosh(x))
FEWBIT_FLOAT_FUNCTOR(Tanh, std::tanh(x))
FEWBIT_FLOAT_FUNCTOR(Asinh, std::asinh(x))
FEWBIT_FLOAT_FUNCTOR(Acosh, std::acosh(x))
FEWBIT_FLOAT_FUNCTOR(Atanh, std::atanh(x))
#undef FEWBIT_FLOAT_FUNCTOR

// x * clamp(x / 6 + 1/2, 0, 1)
struct HardSwish : Plain {
  using Plain::Plain;
  template <typename T>
  T operator()(T x) const {
    T gate = x / T{6} + T{0.5};
    gate = gate < T{0} ? T{0} : gate > T{1} ? T{1} : gate;
    return x * gate;
  }
};

struct LeakyRelu {
  float alpha;
  explicit LeakyRelu(const Node& n) : alpha(n.get_float("alpha", 0.01F)) {}
  template <typename T>
  T operator()(T x) const {
    return x < T{0} ? static_cast<T>(alpha) * x : x;
  }
};

struct Elu {
  float alpha;
  explicit Elu(const Node& n) : alpha(n.get_float("alpha", 1.0F)) {}
  template <typename T>
  T operator()(T x) const {
    return x < T{0} ? static_cast<T>(alpha) * std::expm1(x) : x;
  }
};

struct Selu {
  float alpha;
  float gamma;
  explicit Selu(const Node& n)
      : alpha(n.get_float("alpha", 1.67326319217681884765625F)),
        gamma(n.get_float("gamma", 1.05070102214813232421875F)) {}
  template <typename T>
  T operator()(T x) const {
    return static_cast<T>(gamma) * (x > T{0} ? x : static_cast<T>(alpha) * std::expm1(x));
  }
};

struct Celu {
  float alpha;
  explicit Celu(const Node& n) : alpha(n.get_float("alpha", 1.0F)) {}
  template <typename T>
  T operator()(T x) const {
    const T a = static_cast<T>(alpha);
    const T low = a * std::expm1(x / a);
    return (x > T{0} ? x : T{0}) + (low < T{0} ? low : T{0}) + (x != x ? x : T{0});
  }
};

struct ThresholdedRelu {
  float alpha;
  explicit ThresholdedRelu(const Node& n) : alpha(n.get_float("alpha", 1.0F)) {}
  template <typename T>
  T operator()(T x) const {
    return x <= static_cast<T>(alpha) ? T{0} : x;
  }
};

struct HardSigmoid {
  float alpha;
  float beta;
  explicit HardSigmoid(const Node& n)
      : alpha(n.get_float("alpha", 0.2F)), beta(n.get_float("beta", 0.5F)) {}
  template <typename T>
  T operator()(T x) const {
    const T y = static_cast<T>(alpha) * x + static_cast<T>(beta);
    return y < T{0} ? T{0} : y > T{1} ? T{1} : y;
  }
};

struct Gelu {
  bool tanh_form;
  explicit Gelu(const Node& n) : tanh_form(n.get_string("approximate", "none") == "tanh") {}
  template <typename T>
  T operator()(T x) const {
    if (tanh_form) {
      const T root = static_cast<T>(std::sqrt(2.0 / std::numbers::pi));
      return T{0.5} * x * (T{1} + std::tanh(root * (x + static_cast<T>(0.044715) * x * x * x)));
    }
    return T{0.5} * x * (T{1} + std::erf(x / static_cast<T>(std::numbers::sqrt2)));
  }
};

struct Swish {
  float alpha;
  explicit Swish(const Node& n) : alpha(n.get_float("alpha", 1.0F)) {}
  template <typename T>
  T operator()(T x) const {
    return x * sigmoid(static_cast<T>(alpha) * x);
  }
};

struct Shrink {
  float bias;
  float lambd;
  explicit Shrink(const Node& n)
      : bias(n.get_float("bias", 0.0F)), lambd(n.get_float("lambd", 0.5F)) {}
  template <typename T>
  T operator()(T x) const {
    const auto v = static_cast<double>(x);
    if (v < -static_cast<double>(lambd)) return shifted(x, bias);
    if (v > static_cast<double>(lambd)) return shifted(x, -bias);
    return T{0};
  }
  template <typename T>
  static T shifted(T x, float by) {
    if constexpr (std::is_floating_point_v<T>) {
      return x + static_cast<T>(by);
    } else {
      return wrap_add(x, static_cast<T>(static_cast<int64_t>(by)));
    }
  }
};

template <typename Op, typename List>
Status map(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  return dispatch(ctx.node(), x.type(), List{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const Op op(ctx.node());
    const T* in = x.data<T>();
    T* out = ctx.out(0, x.type(), x.dims()).template data<T>();
    const int64_t n = x.elements();
    for (int64_t i = 0; i < n; ++i) out[i] = op(in[i]);
    return {};
  });
}

template <typename Op>
constexpr OpFunction float_map = in_float<map<Op, Floats>>;
template <typename Op>
constexpr OpFunction number_map = in_float<map<Op, Numbers>>;
template <typename Op>
constexpr OpFunction signed_map = in_float<map<Op, SignedNumbers>>;

struct BitNot : Plain {
  using Plain::Plain;
  template <typename T>
  T operator()(T x) const {
    return static_cast<T>(~static_cast<Wrapping<T>>(x));
  }
};

struct LogicalNot : Plain {
  using Plain::Plain;
  bool operator()(bool x) const { return !x; }
};

struct IsNan : Plain {
  using Plain::Plain;
  template <typename T>
  bool operator()(T x) const {
    return std::isnan(x);
  }
};

struct IsInf {
  bool negative;
  bool positive;
  explicit IsInf(const Node& n)
      : negative(n.get_int("detect_negative", 1) != 0),
        positive(n.get_int("detect_positive", 1) != 0) {}
  template <typename T>
  bool operator()(T x) const {
    return std::isinf(x) && (x < T{0} ? negative : positive);
  }
};

template <typename Op>
Status test(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const Op op(ctx.node());
    const T* in = x.data<T>();
    bool* out = ctx.out(0, DType::kBool, x.dims()).template data<bool>();
    for (int64_t i = 0; i < x.elements(); ++i) out[i] = op(in[i]);
    return {};
  });
}

// The bounds are attributes up to version 10 and optional scalar inputs from 11 on. With
// low > high every element becomes high.
Status clip(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  return dispatch(node, x.type(), Numbers{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    T low = std::numeric_limits<T>::lowest();
    T high = std::numeric_limits<T>::max();
    if constexpr (std::is_floating_point_v<T>) {
      low = -std::numeric_limits<T>::infinity();
      high = std::numeric_limits<T>::infinity();
    }
    if (node.opset < 11) {
      if (node.has("min")) low = static_cast<T>(node.get_float("min", 0));
      if (node.has("max")) high = static_cast<T>(node.get_float("max", 0));
    }
    for (size_t i = 1; i <= 2 && node.opset >= 11; ++i) {
      if (!ctx.has(i)) continue;
      const Tensor& bound = ctx.in(i);
      if (bound.type() != x.type() || bound.elements() != 1) {
        return node_error(node, "bound {} must be a scalar of type {}, is {} {}", i,
                          name_of(x.type()), name_of(bound.type()), to_string(bound.dims()));
      }
      (i == 1 ? low : high) = *bound.data<T>();
    }
    const T* in = x.data<T>();
    T* out = ctx.out(0, x.type(), x.dims()).template data<T>();
    const int64_t n = x.elements();
    for (int64_t i = 0; i < n; ++i) {
      const T v = in[i] < low ? low : in[i];
      out[i] = v > high ? high : v;
    }
    return {};
  });
}

Status identity(OpContext& ctx) {
  ctx.set_out(0, ctx.in_value(0));
  return {};
}

// Keeps each element with probability 1 - ratio and scales it by 1 / (1 - ratio).
Status drop_elements(OpContext& ctx, double ratio) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  if (!(ratio >= 0 && ratio < 1)) return node_error(node, "ratio {} is not in [0, 1)", ratio);
  const uint64_t seed =
      node.has("seed") ? static_cast<uint64_t>(node.get_int("seed", 0)) : ctx.seed;
  Random random(seed);
  Tensor mask = Tensor::uninitialized(DType::kBool, x.dims());
  for (bool& keep : mask.span<bool>()) keep = random.uniform() >= ratio;
  FEWBIT_TRY(dispatch(node, x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const T scale = static_cast<T>(1.0 / (1.0 - ratio));
    const T* in = x.data<T>();
    T* out = ctx.out(0, x.type(), x.dims()).template data<T>();
    for (int64_t i = 0; i < x.elements(); ++i) out[i] = mask.data<bool>()[i] ? in[i] * scale : T{0};
    return {};
  }));
  if (ctx.output_count() > 1) ctx.set_out(1, std::move(mask));
  return {};
}

// Inference passes the data through; only version 12 on can ask for training.
Status dropout(OpContext& ctx) {
  const Node& node = ctx.node();
  const Tensor& x = ctx.in(0);
  bool training = false;
  if (node.opset >= 12 && ctx.has(2)) {
    FEWBIT_ASSIGN(double flag, read_number(node, ctx.in(2), "training_mode"));
    training = flag != 0;
  }
  if (training) {
    double ratio = 0.5;
    if (ctx.has(1)) {
      FEWBIT_ASSIGN(ratio, read_number(node, ctx.in(1), "ratio"));
    }
    if (ratio != 0) return drop_elements(ctx, ratio);
  }
  ctx.set_out(0, x);
  if (ctx.output_count() < 2) return {};
  // Before version 10 the mask has the type of the data.
  Tensor mask = Tensor::uninitialized(DType::kBool, x.dims());
  for (bool& keep : mask.span<bool>()) keep = true;
  if (node.opset < 10) {
    FEWBIT_ASSIGN(mask, cast(mask, x.type()));
  }
  ctx.set_out(1, std::move(mask));
  return {};
}

constexpr OpRow kRows[] = {
    {"", "Abs", 6, number_map<Abs>},
    {"", "Neg", 6, signed_map<Neg>},
    {"", "Sign", 9, number_map<Sign>},
    {"", "Relu", 6, signed_map<Relu>},
    {"", "Exp", 6, float_map<Exp>},
    {"", "Log", 6, float_map<Log>},
    {"", "Sqrt", 6, float_map<Sqrt>},
    {"", "Reciprocal", 6, float_map<Reciprocal>},
    {"", "Erf", 9, float_map<Erf>},
    {"", "Sigmoid", 6, float_map<Sigmoid>},
    {"", "Tanh", 6, float_map<Tanh>},
    {"", "Softplus", 1, float_map<Softplus>},
    {"", "Softsign", 1, float_map<Softsign>},
    {"", "Mish", 18, float_map<Mish>},
    {"", "HardSwish", 14, float_map<HardSwish>},
    {"", "LeakyRelu", 6, float_map<LeakyRelu>},
    {"", "Elu", 6, float_map<Elu>},
    {"", "Selu", 6, float_map<Selu>},
    {"", "Celu", 12, float_map<Celu>},
    {"", "ThresholdedRelu", 10, float_map<ThresholdedRelu>},
    {"", "HardSigmoid", 6, float_map<HardSigmoid>},
    {"", "Gelu", 20, float_map<Gelu>},
    {"", "Swish", 24, float_map<Swish>},
    {"", "Shrink", 9, number_map<Shrink>},
    {"", "Ceil", 6, float_map<Ceil>},
    {"", "Floor", 6, float_map<Floor>},
    {"", "Round", 11, float_map<Round>},
    {"", "Sin", 7, float_map<Sin>},
    {"", "Cos", 7, float_map<Cos>},
    {"", "Tan", 7, float_map<Tan>},
    {"", "Asin", 7, float_map<Asin>},
    {"", "Acos", 7, float_map<Acos>},
    {"", "Atan", 7, float_map<Atan>},
    {"", "Sinh", 9, float_map<Sinh>},
    {"", "Cosh", 9, float_map<Cosh>},
    {"", "Asinh", 9, float_map<Asinh>},
    {"", "Acosh", 9, float_map<Acosh>},
    {"", "Atanh", 9, float_map<Atanh>},
    {"", "IsNaN", 9, in_float<test<IsNan>>},
    {"", "IsInf", 10, in_float<test<IsInf>>},
    {"", "Not", 1, map<LogicalNot, Types<bool>>},
    {"", "BitwiseNot", 18, map<BitNot, Integers>},
    {"", "Clip", 6, in_float<clip>},
    {"", "Identity", 1, identity},
    {"", "Dropout", 7, in_float<dropout>, false},
};

}  // namespace

std::span<const OpRow> elementwise_unary_table() {
  return kRows;
}

}  // namespace fewbit::ops
