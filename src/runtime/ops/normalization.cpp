// Normalisation by statistics of the data, or by given ones: BatchNormalization,
// InstanceNormalization, GroupNormalization, LayerNormalization, RMSNormalization. Sums are taken
// in double.

#include <cmath>

#include "runtime/ops/broadcast.h"
#include "runtime/ops/float_io.h"
#include "runtime/ops/tables.h"
#include "runtime/ops/window.h"

namespace fewbit::ops {
namespace {

struct Moments {
  double mean, variance;
};

// Mean and population variance, in two passes: the difference of squares would cancel.
template <typename T>
Moments moments(const T* x, int64_t n) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
  const double mean = sum / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) {
    const double d = static_cast<double>(x[i]) - mean;
    squares += d * d;
  }
  return {mean, squares / static_cast<double>(n)};
}

template <typename T>
void scale_and_shift(const T* x, int64_t n, T scale, T shift, T* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] * scale + shift;
}

// N, C and the product of the rest; rank 1 is N without channels.
struct Planes {
  int64_t batch, channels, plane;
};

Planes planes_of(const Tensor& x) {
  return {x.rank() > 0 ? x.dim(0) : 1, x.rank() > 1 ? x.dim(1) : 1,
          x.rank() > 2 ? product(x.dims(), 2, x.rank()) : 1};
}

template <typename T>
Moments channel_moments(const T* x, const Planes& p, int64_t c) {
  const auto n = static_cast<double>(p.batch * p.plane);
  double sum = 0, squares = 0;
  for (int64_t b = 0; b < p.batch; ++b) {
    const T* plane = x + (b * p.channels + c) * p.plane;
    for (int64_t i = 0; i < p.plane; ++i) sum += static_cast<double>(plane[i]);
  }
  const double mean = sum / n;
  for (int64_t b = 0; b < p.batch; ++b) {
    const T* plane = x + (b * p.channels + c) * p.plane;
    for (int64_t i = 0; i < p.plane; ++i) {
      const double d = static_cast<double>(plane[i]) - mean;
      squares += d * d;
    }
  }
  return {mean, squares / n};
}

// Replaces the given statistics by those of the batch and stores the moving averages, outputs 1 and
// 2: running = running * momentum + batch * (1 - momentum).
template <typename T>
Status train_statistics(OpContext& ctx, const Tensor& x, const Planes& p, std::vector<T>& mean,
                        std::vector<T>& variance) {
  const T momentum = static_cast<T>(ctx.node().get_float("momentum", 0.9F));
  FEWBIT_ASSIGN(auto mean_out, FloatOutput<T>::make_wanted(ctx, 1, ctx.in(3).type(), {p.channels}));
  FEWBIT_ASSIGN(auto variance_out,
                FloatOutput<T>::make_wanted(ctx, 2, ctx.in(4).type(), {p.channels}));
  for (int64_t c = 0; c < p.channels; ++c) {
    const auto at = static_cast<size_t>(c);
    const Moments m = channel_moments(x.data<T>(), p, c);
    const T batch_mean = static_cast<T>(m.mean), batch_variance = static_cast<T>(m.variance);
    if (mean_out.data() != nullptr) {
      mean_out.data()[c] = mean[at] * momentum + batch_mean * (1 - momentum);
    }
    if (variance_out.data() != nullptr) {
      variance_out.data()[c] = variance[at] * momentum + batch_variance * (1 - momentum);
    }
    mean[at] = batch_mean;
    variance[at] = batch_variance;
  }
  FEWBIT_TRY(mean_out.commit());
  return variance_out.commit();
}

Status check_batch_norm(const OpContext& ctx, const Planes& p, bool training) {
  const Node& node = ctx.node();
  if (ctx.opset() < 9 && node.get_int("spatial", 1) == 0) {
    return unsupported("{}: statistics per element (spatial = 0)", node.label());
  }
  if (!training && (ctx.wants(1) || ctx.wants(2) || ctx.wants(3) || ctx.wants(4))) {
    return unsupported("{}: statistics as outputs outside training mode", node.label());
  }
  const std::array<int64_t, 1> dims{p.channels};
  for (size_t i = 1; i < 5; ++i) FEWBIT_TRY(need_dims(ctx, i, dims, "a parameter"));
  return {};
}

Status batch_normalization(OpContext& ctx) {
  const Planes p = planes_of(ctx.in(0));
  const bool training = ctx.opset() >= 14 && ctx.node().get_int("training_mode", 0) != 0;
  FEWBIT_TRY(check_batch_norm(ctx, p, training));
  const DType type = ctx.in(0).type();
  return with_compute_type(ctx.node(), type, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    FEWBIT_ASSIGN(const Tensor x, load<T>(ctx, 0));
    FEWBIT_ASSIGN(const Tensor scale, load<T>(ctx, 1));
    FEWBIT_ASSIGN(const Tensor bias, load<T>(ctx, 2));
    FEWBIT_ASSIGN(const Tensor given_mean, load<T>(ctx, 3));
    FEWBIT_ASSIGN(const Tensor given_variance, load<T>(ctx, 4));
    const auto means = given_mean.span<T>(), variances = given_variance.span<T>();
    std::vector<T> mean(means.begin(), means.end());
    std::vector<T> variance(variances.begin(), variances.end());
    if (training) FEWBIT_TRY(train_statistics(ctx, x, p, mean, variance));
    FEWBIT_ASSIGN(auto y, FloatOutput<T>::make(ctx, 0, type, x.dims()));
    const double epsilon = ctx.node().get_float("epsilon", 1e-5F);
    const T* src = x.data<T>();
    T* dst = y.data();
#pragma omp parallel for schedule(static) if (worth_threads(x.elements()))
    for (int64_t row = 0; row < p.batch * p.channels; ++row) {
      const auto c = static_cast<size_t>(row % p.channels);
      const double factor = static_cast<double>(scale.data<T>()[c]) /
                            std::sqrt(static_cast<double>(variance[c]) + epsilon);
      const double shift =
          static_cast<double>(bias.data<T>()[c]) - static_cast<double>(mean[c]) * factor;
      scale_and_shift(src + row * p.plane, p.plane, static_cast<T>(factor), static_cast<T>(shift),
                      dst + row * p.plane);
    }
    return y.commit();
  });
}

// Groups of channels normalised by their own moments, then scaled per channel, or (`per_group`)
// per group. Instance normalisation is one channel per group.
Status normalize_groups(OpContext& ctx, int64_t groups, bool per_group) {
  const Tensor& input = ctx.in(0);
  const Planes p = planes_of(input);
  const std::array<int64_t, 1> dims{per_group ? groups : p.channels};
  FEWBIT_TRY(need_dims(ctx, 1, dims, "the scale"));
  FEWBIT_TRY(need_dims(ctx, 2, dims, "the bias"));
  return with_compute_type(ctx.node(), input.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    FEWBIT_ASSIGN(const Tensor x, load<T>(ctx, 0));
    FEWBIT_ASSIGN(const Tensor scale, load<T>(ctx, 1));
    FEWBIT_ASSIGN(const Tensor bias, load<T>(ctx, 2));
    FEWBIT_ASSIGN(auto y, FloatOutput<T>::make(ctx, 0, input.type(), x.dims()));
    if (x.elements() == 0) return y.commit();
    const double epsilon = ctx.node().get_float("epsilon", 1e-5F);
    const int64_t per = p.channels / groups;
    const T* src = x.data<T>();
    T* dst = y.data();
#pragma omp parallel for schedule(static) if (worth_threads(x.elements()))
    for (int64_t g = 0; g < p.batch * groups; ++g) {
      const int64_t start = g * per * p.plane;
      const Moments m = moments(src + start, per * p.plane);
      const double inverse = 1.0 / std::sqrt(m.variance + epsilon);
      for (int64_t c = 0; c < per; ++c) {
        const int64_t at = per_group ? g % groups : g % groups * per + c;
        const double factor = static_cast<double>(scale.data<T>()[at]) * inverse;
        const double shift = static_cast<double>(bias.data<T>()[at]) - m.mean * factor;
        scale_and_shift(src + start + c * p.plane, p.plane, static_cast<T>(factor),
                        static_cast<T>(shift), dst + start + c * p.plane);
      }
    }
    return y.commit();
  });
}

Status instance_normalization(OpContext& ctx) {
  if (ctx.in(0).rank() < 3) {
    return node_error(ctx.node(), "the input needs a rank of at least 3, has shape {}",
                      to_string(ctx.in(0).dims()));
  }
  return normalize_groups(ctx, ctx.in(0).dim(1), false);
}

Status group_normalization(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const int64_t groups = ctx.node().get_int("num_groups", 0);
  if (x.rank() < 2 || groups < 1 || x.dim(1) % groups != 0) {
    return node_error(ctx.node(), "num_groups {} does not divide the channels of {}", groups,
                      to_string(x.dims()));
  }
  // Before opset 21 scale and bias had one value per group.
  return normalize_groups(ctx, groups, ctx.opset() < 21);
}

// A parameter that broadcasts to `dims`: element i of the data uses values[i % period]. Where it
// does not simply repeat along leading dimensions it is expanded.
template <typename T>
struct Parameter {
  Tensor values;
  int64_t period = 1;
  T at(int64_t i) const { return values.data<T>()[i % period]; }
};

template <typename T>
Result<Parameter<T>> load_parameter(const OpContext& ctx, size_t i, const Dims& dims) {
  FEWBIT_ASSIGN(Tensor values, load<T>(ctx, i));
  const Dims& own = values.dims();
  FEWBIT_ASSIGN(const BroadcastPlan plan, plan_broadcast(ctx.node(), {own, dims}));
  if (plan.dims != dims) {
    return node_error(ctx.node(), "parameter {} of shape {} does not broadcast to {}", i,
                      to_string(own), to_string(dims));
  }
  if (own.size() <= dims.size() && std::equal(own.rbegin(), own.rend(), dims.rbegin())) {
    const int64_t period = values.elements();
    return Parameter<T>{std::move(values), std::max<int64_t>(period, 1)};
  }
  FEWBIT_ASSIGN(Tensor full, make_tensor(ctx.node(), values.type(), dims));
  broadcast_binary(plan, values.data<T>(), full.data<T>(), full.data<T>(),
                   [](T a, T) { return a; });
  return Parameter<T>{std::move(full), std::max<int64_t>(full.elements(), 1)};
}

// Rows from `axis` on.
struct Rows {
  int64_t count, length;
  Dims statistics;  ///< the input's dimensions with 1 from `axis` on
};

Result<Rows> rows_from_axis(const OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(const int64_t axis,
                normalize_axis(ctx.node(), ctx.node().get_int("axis", -1), x.rank()));
  Rows rows{product(x.dims(), 0, axis), product(x.dims(), axis, x.rank()), x.dims()};
  std::fill(rows.statistics.begin() + axis, rows.statistics.end(), 1);
  return rows;
}

// The type that statistics are computed and stored in: the attribute stash_type.
Result<DType> stash_type(const Node& node) {
  const int64_t type = node.get_int("stash_type", 1);
  if (type == 1) return DType::kFloat32;
  if (type == 10) return DType::kFloat16;
  if (type == 11) return DType::kFloat64;
  if (type == 16) return DType::kBfloat16;
  return node_error(node, "stash_type {} is no float type", type);
}

template <typename T>
Status layer_norm_typed(OpContext& ctx, const Rows& rows) {
  const DType type = ctx.in(0).type();
  FEWBIT_ASSIGN(const DType stash, stash_type(ctx.node()));
  FEWBIT_ASSIGN(const Tensor x, load<T>(ctx, 0));
  FEWBIT_ASSIGN(const auto scale, load_parameter<T>(ctx, 1, x.dims()));
  Parameter<T> bias{Tensor::zeros(DTypeOf<T>::value, {1}), 1};
  if (ctx.has(2)) {
    FEWBIT_ASSIGN(bias, load_parameter<T>(ctx, 2, x.dims()));
  }
  FEWBIT_ASSIGN(auto y, FloatOutput<T>::make(ctx, 0, type, x.dims()));
  FEWBIT_ASSIGN(auto mean, FloatOutput<T>::make_wanted(ctx, 1, stash, rows.statistics));
  FEWBIT_ASSIGN(auto inverse, FloatOutput<T>::make_wanted(ctx, 2, stash, rows.statistics));
  const double epsilon = ctx.node().get_float("epsilon", 1e-5F);
  const T* src = x.data<T>();
  T *dst = y.data(), *mean_out = mean.data(), *inverse_out = inverse.data();
#pragma omp parallel for schedule(static) if (worth_threads(x.elements()))
  for (int64_t r = 0; r < rows.count; ++r) {
    const Moments m = moments(src + r * rows.length, rows.length);
    const double inv = 1.0 / std::sqrt(m.variance + epsilon);
    if (mean_out != nullptr) mean_out[r] = static_cast<T>(m.mean);
    if (inverse_out != nullptr) inverse_out[r] = static_cast<T>(inv);
    for (int64_t i = r * rows.length; i < (r + 1) * rows.length; ++i) {
      const auto normal = static_cast<T>((static_cast<double>(src[i]) - m.mean) * inv);
      dst[i] = normal * scale.at(i) + bias.at(i);
    }
  }
  FEWBIT_TRY(mean.commit());
  FEWBIT_TRY(inverse.commit());
  return y.commit();
}

Status layer_normalization(OpContext& ctx) {
  FEWBIT_ASSIGN(const Rows rows, rows_from_axis(ctx));
  return with_compute_type(ctx.node(), ctx.in(0).type(), [&](auto tag) {
    return layer_norm_typed<typename decltype(tag)::type>(ctx, rows);
  });
}

// Zhang and Sennrich, Root Mean Square Layer Normalization, 2019, equation 4.
Status rms_normalization(OpContext& ctx) {
  FEWBIT_ASSIGN(const Rows rows, rows_from_axis(ctx));
  const DType type = ctx.in(0).type();
  return with_compute_type(ctx.node(), type, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    FEWBIT_ASSIGN(const Tensor x, load<T>(ctx, 0));
    FEWBIT_ASSIGN(const auto scale, load_parameter<T>(ctx, 1, x.dims()));
    // The output has the type of the scale (V), which may differ from the input's.
    FEWBIT_ASSIGN(auto y, FloatOutput<T>::make(ctx, 0, ctx.in(1).type(), x.dims()));
    const double epsilon = ctx.node().get_float("epsilon", 1e-5F);
    const T* src = x.data<T>();
    T* dst = y.data();
#pragma omp parallel for schedule(static) if (worth_threads(x.elements()))
    for (int64_t r = 0; r < rows.count; ++r) {
      double squares = 0;
      for (int64_t i = r * rows.length; i < (r + 1) * rows.length; ++i) {
        squares += static_cast<double>(src[i]) * static_cast<double>(src[i]);
      }
      const double inv = 1.0 / std::sqrt(squares / static_cast<double>(rows.length) + epsilon);
      for (int64_t i = r * rows.length; i < (r + 1) * rows.length; ++i) {
        dst[i] = static_cast<T>(static_cast<double>(src[i]) * inv) * scale.at(i);
      }
    }
    return y.commit();
  });
}

constexpr OpRow kRows[] = {
    {"", "BatchNormalization", 7, batch_normalization},
    {"", "InstanceNormalization", 6, instance_normalization},
    {"", "GroupNormalization", 18, group_normalization},
    {"", "LayerNormalization", 17, layer_normalization},
    {"", "RMSNormalization", 23, rms_normalization},
};

}  // namespace

std::span<const OpRow> normalization_table() {
  return kRows;
}

}  // namespace fewbit::ops
