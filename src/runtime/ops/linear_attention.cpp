// Operators of recurrent language models: LinearAttention, CausalConvWithState, and
// RotaryEmbedding.

#include <cmath>

#include "runtime/ops/float_io.h"
#include "runtime/ops/tables.h"
#include "runtime/ops/window.h"

namespace fewbit::ops {
namespace {

// Yang et al., Gated Delta Networks, 2024, equation 10; without gate or delta its special cases.
struct LinearProblem {
  int64_t batch, steps, q_heads, kv_heads, key_size, value_size;
  bool gated, delta;
  int64_t decay_step = 0;  ///< values of decay per head: 1 or key_size
  int64_t beta_heads = 0;  ///< 1 or kv_heads
  float scale;
};

Status read_rule(const OpContext& ctx, LinearProblem& p) {
  const Node& node = ctx.node();
  const std::string rule = node.get_string("update_rule", "gated_delta");
  p.gated = rule == "gated" || rule == "gated_delta";
  p.delta = rule == "delta" || rule == "gated_delta";
  if (!p.gated && !p.delta && rule != "linear") {
    return node_error(node, "update_rule '{}' is not known", rule);
  }
  if (p.gated != ctx.has(4) || p.delta != ctx.has(5)) {
    return node_error(node, "update_rule '{}' does not fit the decay and beta given", rule);
  }
  if (p.gated) {
    const Tensor& decay = ctx.in(4);
    p.decay_step = decay.rank() == 3 && decay.dim(2) == p.kv_heads ? 1 : p.key_size;
    FEWBIT_TRY(need_dims(ctx, 4, Dims{p.batch, p.steps, p.kv_heads * p.decay_step}, "decay"));
  }
  if (p.delta) {
    const Tensor& beta = ctx.in(5);
    p.beta_heads = beta.rank() == 3 && beta.dim(2) == 1 ? 1 : p.kv_heads;
    FEWBIT_TRY(need_dims(ctx, 5, Dims{p.batch, p.steps, p.beta_heads}, "beta"));
  }
  return {};
}

Result<LinearProblem> read_linear_attention(const OpContext& ctx) {
  const Node& node = ctx.node();
  const Dims &q = ctx.in(0).dims(), &v = ctx.in(2).dims();
  LinearProblem p{};
  p.q_heads = node.get_int("q_num_heads", 0);
  p.kv_heads = node.get_int("kv_num_heads", 0);
  if (q.size() != 3 || v.size() != 3 || p.q_heads < 1 || p.kv_heads < 1 ||
      p.q_heads % p.kv_heads != 0 || q[2] % p.q_heads != 0 || v[2] % p.kv_heads != 0) {
    return node_error(node, "query {} and value {} do not hold {} and {} heads", to_string(q),
                      to_string(v), p.q_heads, p.kv_heads);
  }
  p.batch = q[0];
  p.steps = q[1];
  p.key_size = q[2] / p.q_heads;
  p.value_size = v[2] / p.kv_heads;
  FEWBIT_TRY(need_dims(ctx, 1, Dims{p.batch, p.steps, p.kv_heads * p.key_size}, "key"));
  FEWBIT_TRY(need_dims(ctx, 2, Dims{p.batch, p.steps, p.kv_heads * p.value_size}, "value"));
  if (ctx.has(3)) {
    FEWBIT_TRY(
        need_dims(ctx, 3, Dims{p.batch, p.kv_heads, p.key_size, p.value_size}, "past_state"));
  }
  p.scale = node.get_float("scale", 0.0F);
  if (p.scale == 0) p.scale = 1.0F / std::sqrt(static_cast<float>(p.key_size));
  FEWBIT_TRY(read_rule(ctx, p));
  return p;
}

// One step of one head: state [key, value] decays, learns key -> value. `update` is scratch.
void learn(const LinearProblem& p, const float* key, const float* value, const float* decay,
           float beta, float* state, float* update) {
  const int64_t n = p.value_size;
  if (decay != nullptr) {
    for (int64_t d = 0; d < p.key_size; ++d) {
      const float keep = std::exp(decay[p.decay_step == 1 ? 0 : d]);
      for (int64_t m = 0; m < n; ++m) state[d * n + m] *= keep;
    }
  }
  std::copy_n(value, n, update);
  if (p.delta) {
    for (int64_t d = 0; d < p.key_size; ++d) {
      for (int64_t m = 0; m < n; ++m) update[m] -= state[d * n + m] * key[d];
    }
    for (int64_t m = 0; m < n; ++m) update[m] *= beta;
  }
  for (int64_t d = 0; d < p.key_size; ++d) {
    for (int64_t m = 0; m < n; ++m) state[d * n + m] += key[d] * update[m];
  }
}

void recall(const LinearProblem& p, const float* query, const float* state, float* out) {
  std::fill_n(out, p.value_size, 0.0F);
  for (int64_t d = 0; d < p.key_size; ++d) {
    const float q = query[d] * p.scale;
    for (int64_t m = 0; m < p.value_size; ++m) out[m] += q * state[d * p.value_size + m];
  }
}

struct LinearInputs {
  Tensor query, key, value, decay, beta;
};

void run_head(const LinearProblem& p, const LinearInputs& in, int64_t b, int64_t h, float* state,
              float* out) {
  std::vector<float> update(static_cast<size_t>(p.value_size));
  const int64_t share = p.q_heads / p.kv_heads;
  for (int64_t t = 0; t < p.steps; ++t) {
    const int64_t token = b * p.steps + t, head = token * p.kv_heads + h;
    const float* decay = p.gated ? in.decay.data<float>() + head * p.decay_step : nullptr;
    const float beta =
        p.delta ? in.beta.data<float>()[token * p.beta_heads + (p.beta_heads == 1 ? 0 : h)] : 0;
    learn(p, in.key.data<float>() + head * p.key_size, in.value.data<float>() + head * p.value_size,
          decay, beta, state, update.data());
    for (int64_t g = h * share; g < (h + 1) * share; ++g) {
      const int64_t at = token * p.q_heads + g;
      recall(p, in.query.data<float>() + at * p.key_size, state, out + at * p.value_size);
    }
  }
}

Status linear_attention(OpContext& ctx) {
  FEWBIT_ASSIGN(const LinearProblem p, read_linear_attention(ctx));
  const DType type = ctx.in(0).type();
  const DType state_type = ctx.has(3) ? ctx.in(3).type() : type;
  LinearInputs in;
  FEWBIT_ASSIGN(in.query, load<float>(ctx, 0));
  FEWBIT_ASSIGN(in.key, load<float>(ctx, 1));
  FEWBIT_ASSIGN(in.value, load<float>(ctx, 2));
  if (p.gated) {
    FEWBIT_ASSIGN(in.decay, load<float>(ctx, 4));
  }
  if (p.delta) {
    FEWBIT_ASSIGN(in.beta, load<float>(ctx, 5));
  }
  const Dims state_dims{p.batch, p.kv_heads, p.key_size, p.value_size};
  FEWBIT_ASSIGN(Tensor states, make_tensor(ctx.node(), DType::kFloat32, state_dims));
  std::fill_n(states.data<float>(), states.elements(), 0.0F);
  if (ctx.has(3)) FEWBIT_TRY(cast_into(ctx.in(3), states));
  FEWBIT_ASSIGN(
      auto y, FloatOutput<float>::make(ctx, 0, type, {p.batch, p.steps, p.q_heads * p.value_size}));
  float *out = y.data(), *state = states.data<float>();
#pragma omp parallel for schedule( \
    static) if (worth_threads(p.batch, p.q_heads, p.steps, p.key_size, p.value_size))
  for (int64_t i = 0; i < p.batch * p.kv_heads; ++i) {
    run_head(p, in, i / p.kv_heads, i % p.kv_heads, state + i * p.key_size * p.value_size, out);
  }
  if (ctx.wants(1)) {
    FEWBIT_ASSIGN(Tensor present, cast(states, state_type));
    ctx.set_out(1, std::move(present));
  }
  return y.commit();
}

// Depthwise convolution over the past k - 1 elements and the present one.
Status causal_conv_with_state(OpContext& ctx) {
  const Node& node = ctx.node();
  const Tensor &x = ctx.in(0), &w = ctx.in(1);
  const std::string activation = node.get_string("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish") {
    return node_error(node, "activation '{}' is not known", activation);
  }
  if (x.rank() != 3 || w.rank() != 3 || w.dim(0) != x.dim(1) || w.dim(1) != 1 || w.dim(2) < 1) {
    return node_error(node, "input {} and weight {} do not fit", to_string(x.dims()),
                      to_string(w.dims()));
  }
  const int64_t batch = x.dim(0), channels = x.dim(1), length = x.dim(2), taps = w.dim(2);
  const Dims state_dims{batch, channels, taps - 1};
  if (ctx.has(2)) FEWBIT_TRY(need_dims(ctx, 2, Dims{channels}, "the bias"));
  if (ctx.has(3)) FEWBIT_TRY(need_dims(ctx, 3, state_dims, "past_state"));
  for (const size_t i : {1, 2, 3}) FEWBIT_TRY(need_same_type(ctx, 0, i));
  if (x.type() != DType::kFloat32) return type_error(node, x.type());
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), x.dims()));
  FEWBIT_ASSIGN(Tensor state, make_tensor(node, x.type(), state_dims));
  const bool silu = activation != "none";
  std::vector<float> line(static_cast<size_t>(length + taps - 1));
  for (int64_t row = 0; row < batch * channels; ++row) {
    const int64_t c = row % channels;
    std::fill_n(line.begin(), taps - 1, 0.0F);
    if (ctx.has(3)) std::copy_n(ctx.in(3).data<float>() + row * (taps - 1), taps - 1, line.begin());
    std::copy_n(x.data<float>() + row * length, length, line.begin() + (taps - 1));
    std::copy_n(line.end() - (taps - 1), taps - 1, state.data<float>() + row * (taps - 1));
    const float* weight = w.data<float>() + c * taps;
    for (int64_t i = 0; i < length; ++i) {
      float sum = ctx.has(2) ? ctx.in(2).data<float>()[c] : 0.0F;
      for (int64_t k = 0; k < taps; ++k) sum += weight[k] * line[static_cast<size_t>(i + k)];
      y->data<float>()[row * length + i] = silu ? sum / (1.0F + std::exp(-sum)) : sum;
    }
  }
  if (ctx.wants(1)) ctx.set_out(1, std::move(state));
  return {};
}

// Su et al., RoFormer, 2021, equation 34.
struct RotaryProblem {
  int64_t batch, heads, steps, size, rotated;
  bool packed, interleaved;
  std::vector<int64_t> positions;  ///< row of the caches for [batch, steps]
};

Result<std::vector<int64_t>> read_positions(const OpContext& ctx, const RotaryProblem& p) {
  const Dims& cache = ctx.in(1).dims();
  FEWBIT_TRY(need_dims(ctx, 2, cache, "sin_cache"));
  if (!ctx.has(3)) {
    FEWBIT_TRY(need_dims(ctx, 1, Dims{p.batch, p.steps, p.rotated / 2}, "cos_cache"));
    std::vector<int64_t> rows(static_cast<size_t>(p.batch * p.steps));
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
    return rows;
  }
  if (cache.size() != 2 || cache[1] != p.rotated / 2) {
    return node_error(ctx.node(), "cos_cache {} does not hold {} angles a row", to_string(cache),
                      p.rotated / 2);
  }
  FEWBIT_TRY(need_dims(ctx, 3, Dims{p.batch, p.steps}, "position_ids"));
  FEWBIT_ASSIGN(auto rows, read_ints(ctx.node(), ctx.in(3), "position_ids"));
  for (int64_t row : rows) {
    if (row < 0 || row >= cache[0]) {
      return node_error(ctx.node(), "position {} is outside [0, {})", row, cache[0]);
    }
  }
  return rows;
}

Result<RotaryProblem> read_rotary(const OpContext& ctx) {
  const Node& node = ctx.node();
  const Dims& d = ctx.in(0).dims();
  RotaryProblem p{};
  p.packed = d.size() == 3;
  p.heads = p.packed ? node.get_int("num_heads", 0) : (d.size() == 4 ? d[1] : 0);
  if (p.packed && (p.heads < 1 || d[2] % p.heads != 0)) p.heads = 0;
  if (p.heads == 0) {
    return node_error(node, "input {} does not hold {} heads", to_string(d),
                      node.get_int("num_heads", 0));
  }
  p.batch = d[0];
  p.steps = p.packed ? d[1] : d[2];
  p.size = p.packed ? d[2] / p.heads : d[3];
  p.rotated = node.get_int("rotary_embedding_dim", 0);
  if (p.rotated == 0) p.rotated = p.size;
  p.interleaved = node.get_int("interleaved", 0) != 0;
  if (p.rotated < 0 || p.rotated > p.size || p.rotated % 2 != 0) {
    return node_error(node, "{} of {} elements cannot be rotated in pairs", p.rotated, p.size);
  }
  FEWBIT_ASSIGN(p.positions, read_positions(ctx, p));
  return p;
}

Status rotary_embedding(OpContext& ctx) {
  FEWBIT_ASSIGN(const RotaryProblem p, read_rotary(ctx));
  for (const size_t i : {1, 2}) FEWBIT_TRY(need_same_type(ctx, 0, i));
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), x.dims()));
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const int64_t half = p.rotated / 2;
    const int64_t near = p.interleaved ? 2 : 1, far = p.interleaved ? 1 : half;
    for (int64_t r = 0; r < p.batch * p.heads * p.steps; ++r) {
      // Row r is (batch, step, head) when packed, (batch, head, step) otherwise.
      const int64_t step = p.packed ? r / p.heads % p.steps : r % p.steps;
      const int64_t b = r / (p.heads * p.steps);
      const int64_t row = p.positions[static_cast<size_t>(b * p.steps + step)] * half;
      const T *cosine = ctx.in(1).data<T>() + row, *sine = ctx.in(2).data<T>() + row;
      const T* src = x.data<T>() + r * p.size;
      T* dst = y->data<T>() + r * p.size;
      for (int64_t i = 0; i < half; ++i) {
        const T a = src[i * near], c = src[i * near + far];
        dst[i * near] = cosine[i] * a - sine[i] * c;
        dst[i * near + far] = sine[i] * a + cosine[i] * c;
      }
      std::copy(src + p.rotated, src + p.size, dst + p.rotated);
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "LinearAttention", 27, linear_attention},
    {"", "CausalConvWithState", 27, in_float<causal_conv_with_state>},
    {"", "RotaryEmbedding", 23, in_float<rotary_embedding>},
};

}  // namespace

std::span<const OpRow> linear_attention_table() {
  return kRows;
}

}  // namespace fewbit::ops
