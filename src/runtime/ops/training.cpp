// ai.onnx.preview.training: one step of Adagrad (Duchi et al., 2011), Adam (Kingma and Ba, 2014) or
// momentum (Sutskever et al., 2013). Inputs: rate R, step count T, then all X, all gradients G, and
// one or two lists of state; outputs: the new X and state.

#include <cmath>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

struct Step {
  double rate;
  int64_t count;
};

// Calls rule(x, gradient, state) for each element; it updates x and state[0 .. states-1].
template <typename Rule>
Status update(OpContext& ctx, size_t states, const Rule& rule) {
  const Node& node = ctx.node();
  const size_t lists = 2 + states, n = (ctx.input_count() - 2) / lists;
  if (n < 1 || ctx.input_count() != 2 + n * lists || ctx.output_count() != n * (1 + states)) {
    return node_error(node, "{} inputs and {} outputs do not make lists of one length",
                      ctx.input_count(), ctx.output_count());
  }
  for (size_t i = 0; i < n; ++i) {
    const Tensor& x = ctx.in(2 + i);
    for (size_t k = 1; k < lists; ++k) {
      const Tensor& other = ctx.in(2 + k * n + i);
      if (other.type() != x.type() || other.dims() != x.dims()) {
        return node_error(node, "tensors of optimised value {} differ in type or shape", i);
      }
    }
    FEWBIT_TRY(dispatch(node, x.type(), Floats{}, [&](auto tag) -> Status {
      using T = typename decltype(tag)::type;
      std::array<T*, 3> out{};
      for (size_t k = 0; k <= states; ++k) {
        FEWBIT_ASSIGN(Tensor * t, make_output(ctx, k * n + i, x.type(), x.dims()));
        out[k] = t->data<T>();
      }
      for (int64_t e = 0; e < x.elements(); ++e) {
        double value = x.data<T>()[e];
        std::array<double, 2> state{};
        for (size_t k = 0; k < states; ++k) state[k] = ctx.in(2 + (2 + k) * n + i).data<T>()[e];
        rule(value, static_cast<double>(ctx.in(2 + n + i).data<T>()[e]), state);
        out[0][e] = static_cast<T>(value);
        for (size_t k = 0; k < states; ++k) out[1 + k][e] = static_cast<T>(state[k]);
      }
      return {};
    }));
  }
  return {};
}

Result<Step> read_step(const OpContext& ctx) {
  Step s{};
  FEWBIT_ASSIGN(s.rate, read_number(ctx.node(), ctx.in(0), "the rate"));
  FEWBIT_ASSIGN(s.count, read_int(ctx.node(), ctx.in(1), "the step count"));
  return s;
}

Status adagrad(OpContext& ctx) {
  FEWBIT_ASSIGN(const Step s, read_step(ctx));
  const Node& node = ctx.node();
  const double decay = node.get_float("decay_factor", 0.0F),
               norm = node.get_float("norm_coefficient", 0.0F);
  const double epsilon = node.get_float("epsilon", 1e-6F);
  const double rate = s.rate / (1 + static_cast<double>(s.count) * decay);
  return update(ctx, 1, [&](double& x, double gradient, std::array<double, 2>& h) {
    const double g = norm * x + gradient;
    h[0] += g * g;
    x -= rate * g / (std::sqrt(h[0]) + epsilon);
  });
}

Status adam(OpContext& ctx) {
  FEWBIT_ASSIGN(const Step s, read_step(ctx));
  const Node& node = ctx.node();
  const double alpha = node.get_float("alpha", 0.9F), beta = node.get_float("beta", 0.999F);
  const double epsilon = node.get_float("epsilon", 1e-6F);
  const double norm = node.get_float("norm_coefficient", 0.0F);
  const double norm_post = node.get_float("norm_coefficient_post", 0.0F);
  const auto t = static_cast<double>(s.count);
  // Both moments start at zero; from the second step on that is corrected.
  const double rate =
      s.count > 0 ? s.rate * std::sqrt(1 - std::pow(beta, t)) / (1 - std::pow(alpha, t)) : s.rate;
  return update(ctx, 2, [&](double& x, double gradient, std::array<double, 2>& m) {
    const double g = norm * x + gradient;
    m[0] = alpha * m[0] + (1 - alpha) * g;
    m[1] = beta * m[1] + (1 - beta) * g * g;
    x = (1 - norm_post) * (x - rate * m[0] / (std::sqrt(m[1]) + epsilon));
  });
}

Status momentum(OpContext& ctx) {
  FEWBIT_ASSIGN(const Step s, read_step(ctx));
  const Node& node = ctx.node();
  const std::string mode = node.get_string("mode", "standard");
  if (mode != "standard" && mode != "nesterov") {
    return node_error(node, "mode '{}' is not known", mode);
  }
  const double alpha = node.get_float("alpha", 0.9F),
               norm = node.get_float("norm_coefficient", 0.0F);
  const double beta = s.count > 0 ? node.get_float("beta", 1.0F) : 1.0;
  const bool nesterov = mode == "nesterov";
  return update(ctx, 1, [&](double& x, double gradient, std::array<double, 2>& v) {
    const double g = norm * x + gradient;
    v[0] = alpha * v[0] + beta * g;
    x -= s.rate * (nesterov ? g + alpha * v[0] : v[0]);
  });
}

constexpr OpRow kRows[] = {
    {"ai.onnx.preview.training", "Adagrad", 1, adagrad},
    {"ai.onnx.preview.training", "Adam", 1, adam},
    {"ai.onnx.preview.training", "Momentum", 1, momentum},
};

}  // namespace

std::span<const OpRow> training_table() {
  return kRows;
}

}  // namespace fewbit::ops
