// NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: minus the weighted log-probability of each
// target class, per position, or summed, or averaged by the weights.

#include <cmath>
#include <optional>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/tables.h"
#include "runtime/ops/window.h"

namespace fewbit::ops {
namespace {

// Scores [N, C, d...], targets [N, d...].
struct LossProblem {
  int64_t batch, classes, plane;
  Dims target_dims;
  std::vector<int64_t> targets;
  std::optional<int64_t> ignore;
  enum class Reduction { kNone, kSum, kMean } reduction;
};

Result<LossProblem::Reduction> read_reduction(const Node& node) {
  const std::string name = node.get_string("reduction", "mean");
  if (name == "none") return LossProblem::Reduction::kNone;
  if (name == "sum") return LossProblem::Reduction::kSum;
  if (name == "mean") return LossProblem::Reduction::kMean;
  return node_error(node, "reduction '{}' is not known", name);
}

Result<LossProblem> read_loss(const OpContext& ctx) {
  const Dims& dims = ctx.in(0).dims();
  if (dims.size() < 2) {
    return node_error(ctx.node(), "scores need a rank of at least 2, have shape {}",
                      to_string(dims));
  }
  LossProblem p{dims[0], dims[1], product(dims, 2, ctx.in(0).rank()), dims, {}, {}, {}};
  p.target_dims.erase(p.target_dims.begin() + 1);
  FEWBIT_TRY(need_dims(ctx, 1, p.target_dims, "the target"));
  FEWBIT_ASSIGN(p.targets, read_ints(ctx.node(), ctx.in(1), "the target"));
  FEWBIT_ASSIGN(p.reduction, read_reduction(ctx.node()));
  if (const auto* ignore = ctx.node().get<int64_t>("ignore_index")) p.ignore = *ignore;
  for (int64_t t : p.targets) {
    if (t != p.ignore && (t < 0 || t >= p.classes)) {
      return node_error(ctx.node(), "target class {} is outside [0, {})", t, p.classes);
    }
  }
  if (ctx.has(2)) {
    const std::array<int64_t, 1> weight_dims{p.classes};
    FEWBIT_TRY(need_dims(ctx, 2, weight_dims, "the weight"));
    FEWBIT_TRY(need_same_type(ctx, 0, 2));
  }
  return p;
}

template <typename T>
Status reduce_loss(OpContext& ctx, const LossProblem& p, const T* log_probabilities) {
  const bool none = p.reduction == LossProblem::Reduction::kNone;
  FEWBIT_ASSIGN(Tensor * loss,
                make_output(ctx, 0, ctx.in(0).type(), none ? p.target_dims : Dims{}));
  const T* weights = ctx.has(2) ? ctx.in(2).data<T>() : nullptr;
  double sum = 0, weight_sum = 0;
  for (size_t i = 0; i < p.targets.size(); ++i) {
    const int64_t t = p.targets[i], at = static_cast<int64_t>(i);
    T value = 0;
    if (t != p.ignore) {
      const T weight = weights != nullptr ? weights[t] : T{1};
      const int64_t row = at / p.plane * p.classes + t;
      value = -log_probabilities[row * p.plane + at % p.plane] * weight;
      sum += static_cast<double>(value);
      weight_sum += static_cast<double>(weight);
    }
    if (none) loss->data<T>()[at] = value;
  }
  if (p.reduction == LossProblem::Reduction::kMean) sum /= weight_sum;
  if (!none) *loss->data<T>() = static_cast<T>(sum);
  return {};
}

Status negative_log_likelihood_loss(OpContext& ctx) {
  FEWBIT_ASSIGN(const LossProblem p, read_loss(ctx));
  return dispatch(ctx.node(), ctx.in(0).type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    return reduce_loss(ctx, p, ctx.in(0).data<T>());
  });
}

// log softmax over the classes of [N, C, plane].
template <typename T>
void log_probabilities(const LossProblem& p, const T* x, T* y) {
#pragma omp parallel for schedule(static) if (worth_threads(p.batch, p.classes, p.plane, 8))
  for (int64_t line = 0; line < p.batch * p.plane; ++line) {
    const int64_t start = line / p.plane * p.classes * p.plane + line % p.plane;
    T top = x[start];
    for (int64_t c = 1; c < p.classes; ++c) top = std::max(top, x[start + c * p.plane]);
    double sum = 0;
    for (int64_t c = 0; c < p.classes; ++c) {
      sum += static_cast<double>(std::exp(x[start + c * p.plane] - top));
    }
    const T log_sum = static_cast<T>(std::log(sum));
    for (int64_t c = 0; c < p.classes; ++c) {
      y[start + c * p.plane] = x[start + c * p.plane] - top - log_sum;
    }
  }
}

Status softmax_cross_entropy_loss(OpContext& ctx) {
  FEWBIT_ASSIGN(const LossProblem p, read_loss(ctx));
  const Tensor& x = ctx.in(0);
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    Tensor logs;
    if (ctx.wants(1)) {
      FEWBIT_ASSIGN(Tensor * output, make_output(ctx, 1, x.type(), x.dims()));
      logs = *output;
    } else {
      FEWBIT_ASSIGN(logs, make_tensor(ctx.node(), x.type(), x.dims()));
    }
    if (x.elements() > 0) log_probabilities(p, x.data<T>(), logs.data<T>());
    return reduce_loss(ctx, p, logs.data<T>());
  });
}

constexpr OpRow kRows[] = {
    {"", "NegativeLogLikelihoodLoss", 12, in_float<negative_log_likelihood_loss>},
    {"", "SoftmaxCrossEntropyLoss", 12, in_float<softmax_cross_entropy_loss>},
};

}  // namespace

std::span<const OpRow> loss_table() {
  return kRows;
}

}  // namespace fewbit::ops
