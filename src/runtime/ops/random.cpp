// Random tensors: RandomNormal, RandomUniform and their Like forms, Bernoulli, Multinomial.
//
// The numbers are the same on every machine for the same seed. With the attribute `seed` that is
// the seed; without it the run's seed and the node's place in the graph are.

#include "base/random.h"

#include <bit>
#include <cmath>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

Random generator(const OpContext& ctx) {
  // The attribute is a float; its bits are as good a seed as its value.
  if (const auto* seed = ctx.node().get<float>("seed"))
    return Random(std::bit_cast<uint32_t>(*seed));
  // Two such nodes of one graph must not give the same numbers: their outputs' ids differ.
  const auto id = static_cast<uint64_t>(ctx.node().output(0));
  return Random(ctx.seed + 0x9e3779b97f4a7c15 * (id + 1));
}

Result<DType> result_type(const Node& node, DType fallback) {
  const int64_t type = node.get_int("dtype", static_cast<int64_t>(fallback));
  if (type <= 0 || type >= kDTypeCount) return node_error(node, "dtype {} is not known", type);
  return static_cast<DType>(type);
}

enum class Law { kNormal, kUniform };

template <Law law>
Status fill(OpContext& ctx, DType type, const Dims& dims) {
  const Node& node = ctx.node();
  if (!is_float(type)) return type_error(node, type);
  FEWBIT_ASSIGN(Tensor out, make_tensor(node, DType::kFloat32, dims));
  Random random = generator(ctx);
  if (law == Law::kNormal) {
    random.fill_normal(out.span<float>(), node.get_float("mean", 0.0F),
                       node.get_float("scale", 1.0F));
  } else {
    random.fill_uniform(out.span<float>(), node.get_float("low", 0.0F),
                        node.get_float("high", 1.0F));
  }
  FEWBIT_ASSIGN(out, cast(out, type));
  ctx.set_out(0, std::move(out));
  return {};
}

template <Law law>
Status of_shape(OpContext& ctx) {
  FEWBIT_ASSIGN(DType type, result_type(ctx.node(), DType::kFloat32));
  return fill<law>(ctx, type, ctx.node().get_ints("shape"));
}

template <Law law>
Status like(OpContext& ctx) {
  FEWBIT_ASSIGN(DType type, result_type(ctx.node(), ctx.in(0).type()));
  return fill<law>(ctx, type, ctx.in(0).dims());
}

Status bernoulli(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(DType type, result_type(ctx.node(), x.type()));
  FEWBIT_ASSIGN(Tensor p, cast(x, DType::kFloat64));
  Tensor out = Tensor::uninitialized(DType::kBool, x.dims());
  Random random = generator(ctx);
  for (int64_t i = 0; i < x.elements(); ++i) {
    out.data<bool>()[i] = random.uniform() < std::as_const(p).data<double>()[i];
  }
  FEWBIT_ASSIGN(out, cast(out, type));
  ctx.set_out(0, std::move(out));
  return {};
}

// Input [batch, classes] of log-probabilities, not normalised -> [batch, sample_size] class
// indices.
Status multinomial(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(DType type, result_type(node, DType::kInt32));
  const int64_t samples = node.get_int("sample_size", 1);
  if (x.rank() != 2 || samples < 0 || (x.dim(1) == 0 && x.dim(0) > 0 && samples > 0)) {
    return node_error(node, "cannot draw {} samples from an input of shape {}", samples,
                      to_string(x.dims()));
  }
  FEWBIT_ASSIGN(Tensor logits, cast(x, DType::kFloat64));
  FEWBIT_ASSIGN(Tensor out, make_tensor(node, DType::kInt64, {x.dim(0), samples}));
  Random random = generator(ctx);
  const auto classes = static_cast<size_t>(x.dim(1));
  std::vector<double> cumulative(classes);
  for (int64_t row = 0; row < x.dim(0); ++row) {
    const double* in = std::as_const(logits).data<double>() + row * x.dim(1);
    double largest = -INFINITY;
    for (size_t c = 0; c < classes; ++c) largest = std::max(largest, in[c]);
    double total = 0;
    for (size_t c = 0; c < classes; ++c) cumulative[c] = total += std::exp(in[c] - largest);
    for (int64_t s = 0; s < samples; ++s) {
      const double at = random.uniform() * total;
      size_t c = 0;
      while (c + 1 < classes && cumulative[c] <= at) ++c;
      out.data<int64_t>()[row * samples + s] = static_cast<int64_t>(c);
    }
  }
  FEWBIT_ASSIGN(out, cast(out, type));
  ctx.set_out(0, std::move(out));
  return {};
}

constexpr OpRow kRows[] = {
    {"", "RandomNormal", 1, of_shape<Law::kNormal>, false},
    {"", "RandomUniform", 1, of_shape<Law::kUniform>, false},
    {"", "RandomNormalLike", 1, like<Law::kNormal>, false},
    {"", "RandomUniformLike", 1, like<Law::kUniform>, false},
    {"", "Bernoulli", 15, bernoulli, false},
    {"", "Multinomial", 7, multinomial, false},
};

}  // namespace

std::span<const OpRow> random_table() {
  return kRows;
}

}  // namespace fewbit::ops
