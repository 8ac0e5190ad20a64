// com.microsoft fusions of float operators: Gelu and its kin, SkipLayerNormalization, FusedConv,
// FusedGemm, FusedMatMul.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "runtime/ops/float_io.h"
#include "runtime/ops/nested.h"
#include "runtime/ops/tables.h"
#include "runtime/ops/window.h"

namespace fewbit::ops {
namespace {

// y = f(x + bias) with a bias along the last dimension, input 1 (may be absent).
template <typename F>
Status biased_unary(OpContext& ctx, const F& f) {
  const Tensor& x = ctx.in(0);
  if (ctx.has(1)) {
    const std::array<int64_t, 1> dims{x.rank() > 0 ? x.dims().back() : 1};
    FEWBIT_TRY(need_dims(ctx, 1, dims, "the bias"));
    FEWBIT_TRY(need_same_type(ctx, 0, 1));
  }
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), x.dims()));
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const T* bias = ctx.has(1) ? ctx.in(1).data<T>() : nullptr;
    const int64_t width = ctx.has(1) ? ctx.in(1).elements() : 1;
    for (int64_t i = 0; i < x.elements(); ++i) {
      const T v = x.data<T>()[i] + (bias != nullptr ? bias[i % width] : T{0});
      y->data<T>()[i] = static_cast<T>(f(static_cast<double>(v)));
    }
    return {};
  });
}

Status gelu(OpContext& ctx) {
  return biased_unary(
      ctx, [](double x) { return 0.5 * x * (1 + std::erf(x * (std::numbers::sqrt2 / 2))); });
}

// Hendrycks and Gimpel, Gaussian Error Linear Units, 2016: the approximation by tanh.
Status fast_gelu(OpContext& ctx) {
  return biased_unary(ctx, [](double x) {
    const double scale = std::sqrt(2 / std::numbers::pi);
    return 0.5 * x * (1 + std::tanh(scale * (x + 0.044715 * x * x * x)));
  });
}

Status quick_gelu(OpContext& ctx) {
  const double alpha = ctx.node().get_float("alpha", 1.702F);
  return biased_unary(ctx, [alpha](double x) { return x / (1 + std::exp(-alpha * x)); });
}

// Sums of input, skip and bias, normalised along the last dimension. `bias` and `beta` are the
// positions of those inputs; simplified: by the root of the mean square, without beta.
struct SkipNorm {
  bool simplified;
  size_t beta, bias;
  double epsilon;
};

Status check_skip_norm(const OpContext& ctx, const SkipNorm& s) {
  const Dims& dims = ctx.in(0).dims();
  if (dims.empty() || dims.back() < 1) {
    return node_error(ctx.node(), "an input of shape {} has no rows", to_string(dims));
  }
  const std::array<int64_t, 1> row{dims.back()};
  // The skip may be one for the whole batch.
  const Dims& skip = ctx.in(1).dims();
  if (skip.empty() || ctx.in(1).elements() == 0 ||
      ctx.in(0).elements() % ctx.in(1).elements() != 0 || skip.back() != dims.back()) {
    return node_error(ctx.node(), "a skip of shape {} does not fit {}", to_string(skip),
                      to_string(dims));
  }
  FEWBIT_TRY(need_dims(ctx, 2, row, "gamma"));
  if (!s.simplified && ctx.has(s.beta)) FEWBIT_TRY(need_dims(ctx, s.beta, row, "beta"));
  if (ctx.has(s.bias)) FEWBIT_TRY(need_dims(ctx, s.bias, row, "the bias"));
  return {};
}

// One row in place: x becomes normalised, scaled and shifted. Returns mean and 1 / deviation.
template <typename T>
std::array<double, 2> normalize_row(const SkipNorm& s, T* x, int64_t n, const T* gamma,
                                    const T* beta) {
  double mean = 0, squares = 0;
  for (int64_t i = 0; i < n && !s.simplified; ++i) mean += static_cast<double>(x[i]);
  mean /= static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) {
    const double d = static_cast<double>(x[i]) - mean;
    squares += d * d;
  }
  const double inverse = 1 / std::sqrt(squares / static_cast<double>(n) + s.epsilon);
  for (int64_t i = 0; i < n; ++i) {
    x[i] = static_cast<T>((static_cast<double>(x[i]) - mean) * inverse) * gamma[i];
    if (beta != nullptr) x[i] += beta[i];
  }
  return {mean, inverse};
}

template <typename T>
Status skip_norm_typed(OpContext& ctx, const SkipNorm& s) {
  const DType type = ctx.in(0).type();
  const Dims& dims = ctx.in(0).dims();
  FEWBIT_ASSIGN(const Tensor x, load<T>(ctx, 0));
  FEWBIT_ASSIGN(const Tensor skip, load<T>(ctx, 1));
  FEWBIT_ASSIGN(const Tensor gamma, load<T>(ctx, 2));
  Tensor beta, bias;
  if (!s.simplified && ctx.has(s.beta)) {
    FEWBIT_ASSIGN(beta, load<T>(ctx, s.beta));
  }
  if (ctx.has(s.bias)) {
    FEWBIT_ASSIGN(bias, load<T>(ctx, s.bias));
  }
  Dims statistics = dims;
  statistics.back() = 1;
  FEWBIT_ASSIGN(auto y, FloatOutput<T>::make(ctx, 0, type, dims));
  FEWBIT_ASSIGN(auto mean, FloatOutput<T>::make_wanted(ctx, 1, DType::kFloat32, statistics));
  FEWBIT_ASSIGN(auto inverse, FloatOutput<T>::make_wanted(ctx, 2, DType::kFloat32, statistics));
  FEWBIT_ASSIGN(auto sum, FloatOutput<T>::make_wanted(ctx, 3, type, dims));
  const int64_t n = dims.back();
  const T* shift = beta.defined() ? std::as_const(beta).data<T>() : nullptr;
  const T* added = bias.defined() ? std::as_const(bias).data<T>() : nullptr;
  T *out = y.data(), *mean_out = mean.data(), *inverse_out = inverse.data(), *sum_out = sum.data();
  for (int64_t r = 0; r < x.elements() / n; ++r) {
    T* row = out + r * n;
    for (int64_t i = 0; i < n; ++i) {
      row[i] = x.data<T>()[r * n + i] + skip.data<T>()[(r * n + i) % skip.elements()];
      if (added != nullptr) row[i] += added[i];
    }
    if (sum_out != nullptr) std::copy_n(row, n, sum_out + r * n);
    const auto moments = normalize_row(s, row, n, gamma.data<T>(), shift);
    if (mean_out != nullptr) mean_out[r] = static_cast<T>(moments[0]);
    if (inverse_out != nullptr) inverse_out[r] = static_cast<T>(moments[1]);
  }
  FEWBIT_TRY(mean.commit());
  FEWBIT_TRY(inverse.commit());
  FEWBIT_TRY(sum.commit());
  return y.commit();
}

template <bool simplified>
Status skip_layer_normalization(OpContext& ctx) {
  const SkipNorm s{simplified, 3, simplified ? size_t{3} : size_t{4},
                   ctx.node().get_float("epsilon", 1e-12F)};
  FEWBIT_TRY(check_skip_norm(ctx, s));
  return with_compute_type(ctx.node(), ctx.in(0).type(), [&](auto tag) {
    return skip_norm_typed<typename decltype(tag)::type>(ctx, s);
  });
}

// The activation of a fused node as a node of its own. Its numbers are called activation_params, or
// activation_alpha and activation_beta; at opset 10 Clip's limits are attributes.
Result<Tensor> activated(const Node& node, Tensor x) {
  const std::string name = node.get_string("activation", "");
  std::vector<float> numbers = node.get_floats("activation_params");
  for (const char* key : {"activation_alpha", "activation_beta"}) {
    if (node.has(key)) numbers.push_back(node.get_float(key, 0.0F));
  }
  struct Row {
    std::string_view name, first, second;
  };
  static constexpr Row kActivations[] = {
      {"", "", ""},           {"Relu", "", ""},           {"Tanh", "", ""},
      {"Sigmoid", "", ""},    {"LeakyRelu", "alpha", ""}, {"HardSigmoid", "alpha", "beta"},
      {"Clip", "min", "max"},
  };
  for (const Row& row : kActivations) {
    if (row.name != name) continue;
    if (name.empty()) return x;
    Node activation = nested_node(node, name, 10);
    if (!row.first.empty() && !numbers.empty()) {
      activation.attributes[std::string(row.first)] = numbers[0];
    }
    if (!row.second.empty() && numbers.size() > 1) {
      activation.attributes[std::string(row.second)] = numbers[1];
    }
    return run_nested(activation, {std::move(x)});
  }
  return unsupported("{}: activation '{}'", node.label(), name);
}

// activation(op_type(inputs) [+ residual]); the node's attributes are those of op_type.
Status fused(OpContext& ctx, std::string_view op_type, size_t inputs, size_t residual) {
  Node inner = nested_node(ctx.node(), op_type);
  inner.attributes = ctx.node().attributes;
  std::vector<RuntimeValue> values;
  for (size_t i = 0; i < inputs && i < ctx.input_count(); ++i) values.push_back(ctx.in_value(i));
  FEWBIT_ASSIGN(Tensor y, run_nested(inner, std::move(values)));
  if (ctx.has(residual)) {
    FEWBIT_ASSIGN(y, run_nested(nested_node(ctx.node(), "Add"), {y, ctx.in(residual)}));
  }
  FEWBIT_ASSIGN(y, activated(ctx.node(), std::move(y)));
  ctx.set_out(0, std::move(y));
  return {};
}

Status fused_conv(OpContext& ctx) {
  return fused(ctx, "Conv", 3, 3);
}
Status fused_gemm(OpContext& ctx) {
  return fused(ctx, "Gemm", 3, 3);
}

// The operand with its last two dimensions exchanged, and (batch) the first one moved before the
// last, as the transBatch attributes say.
Result<Tensor> fused_operand(const Node& node, const Tensor& x, bool transpose, bool batch) {
  if (!transpose && !batch) return x;
  const int64_t rank = x.rank();
  if (rank < (batch ? 3 : 2)) {
    return node_error(node, "an operand of shape {} cannot be transposed", to_string(x.dims()));
  }
  std::vector<int64_t> perm;
  for (int64_t i = 0; i < rank; ++i) perm.push_back(i);
  if (batch) std::rotate(perm.begin(), perm.begin() + 1, perm.end() - 1);
  if (transpose)
    std::swap(perm[static_cast<size_t>(rank) - 1], perm[static_cast<size_t>(rank) - 2]);
  Node node_transpose = nested_node(node, "Transpose");
  node_transpose.attributes["perm"] = std::move(perm);
  return run_nested(node_transpose, {x});
}

Status fused_matmul(OpContext& ctx) {
  const Node& node = ctx.node();
  const auto flag = [&](std::string_view key) { return node.get_int(key, 0) != 0; };
  FEWBIT_ASSIGN(Tensor a, fused_operand(node, ctx.in(0), flag("transA"), flag("transBatchA")));
  FEWBIT_ASSIGN(Tensor b, fused_operand(node, ctx.in(1), flag("transB"), flag("transBatchB")));
  FEWBIT_ASSIGN(Tensor y, run_nested(nested_node(node, "MatMul"), {std::move(a), std::move(b)}));
  const float alpha = node.get_float("alpha", 1.0F);
  FEWBIT_TRY(dispatch(node, y.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    for (T& v : y.span<T>()) v *= static_cast<T>(alpha);
    return {};
  }));
  ctx.set_out(0, std::move(y));
  return {};
}

constexpr OpRow kRows[] = {
    {"com.microsoft", "Gelu", 1, in_float<gelu>},
    {"com.microsoft", "BiasGelu", 1, in_float<gelu>},
    {"com.microsoft", "FastGelu", 1, in_float<fast_gelu>},
    {"com.microsoft", "QuickGelu", 1, in_float<quick_gelu>},
    {"com.microsoft", "SkipLayerNormalization", 1, skip_layer_normalization<false>},
    {"com.microsoft", "SkipSimplifiedLayerNormalization", 1, skip_layer_normalization<true>},
    {"com.microsoft", "FusedConv", 1, in_float<fused_conv>},
    {"com.microsoft", "FusedGemm", 1, in_float<fused_gemm>},
    {"com.microsoft", "FusedMatMul", 1, in_float<fused_matmul>},
};

}  // namespace

std::span<const OpRow> ms_fused_table() {
  return kRows;
}

}  // namespace fewbit::ops
