// Attention (opset 23 on): scaled dot-product attention with grouped heads, a key-value cache,
// masks, windows and a soft cap. One query row at a time, so no matrix of scores is kept.

#include <cmath>
#include <limits>

#include "numerics/bfloat16.h"
#include "numerics/half.h"
#include "runtime/ops/float_io.h"
#include "runtime/ops/tables.h"
#include "runtime/ops/window.h"

namespace fewbit::ops {
namespace {

// Where head h, position s of a Q, K or V lies: [B, H, S, D], or packed as [B, S, H * D].
struct HeadView {
  int64_t heads = 0, length = 0, size = 0;
  bool packed = false;
  int64_t at(int64_t b, int64_t h, int64_t s) const {
    return packed ? ((b * length + s) * heads + h) * size : ((b * heads + h) * length + s) * size;
  }
};

Result<HeadView> read_heads(const OpContext& ctx, size_t i, std::string_view heads_key) {
  const Dims& d = ctx.in(i).dims();
  if (d.size() == 4) return HeadView{d[1], d[2], d[3], false};
  const int64_t heads = ctx.node().get_int(heads_key, 0);
  if (d.size() != 3 || heads < 1 || d[2] % heads != 0) {
    return node_error(ctx.node(), "input {} of shape {} does not hold {} = {}", i, to_string(d),
                      heads_key, heads);
  }
  return HeadView{heads, d[1], d[2] / heads, true};
}

// attn_mask, broadcast to [B, H, S, T]; keys past its last column are disallowed.
struct MaskView {
  Tensor allowed;  ///< bool, or undefined
  Tensor bias;     ///< compute type, or undefined
  int64_t columns = 0;
  std::array<int64_t, 3> stride{};  ///< of batch, head and row
  bool given() const { return allowed.defined() || bias.defined(); }
};

struct AttentionProblem {
  HeadView q, k, v;
  int64_t batch, past = 0, total = 0;
  double scale, softcap;
  bool causal;
  int64_t left, right;         ///< window; -1: unbounded
  std::vector<int64_t> valid;  ///< nonpad_kv_seqlen per batch; empty: all
  int64_t qk_mode;
  DType softmax_type = DType::kUndefined;
  MaskView mask;

  /// Position of the first query among the keys.
  int64_t offset(int64_t b) const {
    return valid.empty() ? past : valid[static_cast<size_t>(b)] - q.length;
  }
  /// Keys [first, last) that query row i of batch b may see, masks aside.
  Range visible(int64_t b, int64_t i) const {
    const int64_t at = offset(b) + i;
    Range r{0, total};
    if (!valid.empty()) r.last = std::min(r.last, valid[static_cast<size_t>(b)]);
    if (causal) r.last = std::min(r.last, at + 1);
    if (right >= 0) r.last = std::min(r.last, at + right + 1);
    if (left >= 0) r.first = std::max(r.first, at - left);
    r.last = std::max(r.last, r.first);
    return r;
  }
};

Status read_options(const OpContext& ctx, AttentionProblem& p) {
  const Node& node = ctx.node();
  p.scale = node.get_float("scale", 0.0F);
  if (!node.has("scale")) p.scale = 1 / std::sqrt(static_cast<double>(p.q.size));
  p.softcap = node.get_float("softcap", 0.0F);
  p.causal = node.get_int("is_causal", 0) != 0;
  p.left = node.get_int("left_window_size", -1);
  p.right = node.get_int("right_window_size", -1);
  p.qk_mode = node.get_int("qk_matmul_output_mode", 0);
  const int64_t precision = node.get_int("softmax_precision", 0);
  constexpr int64_t kMaxWindow = int64_t{1} << 60;
  if (p.left < -1 || p.right < -1 || p.left > kMaxWindow || p.right > kMaxWindow) {
    return node_error(node, "window sizes {} and {} make no sense", p.left, p.right);
  }
  if (p.qk_mode < 0 || p.qk_mode > 3) {
    return node_error(node, "qk_matmul_output_mode {} is not known", p.qk_mode);
  }
  for (const DType type :
       {DType::kUndefined, DType::kFloat32, DType::kFloat16, DType::kFloat64, DType::kBfloat16}) {
    if (precision == static_cast<int64_t>(type)) {
      p.softmax_type = type;
      return {};
    }
  }
  return node_error(node, "softmax_precision {} is no float type", precision);
}

Status read_cache(const OpContext& ctx, AttentionProblem& p) {
  if (ctx.has(4) != ctx.has(5)) {
    return node_error(ctx.node(), "past_key and past_value are only of use together");
  }
  if (ctx.has(4)) {
    if (ctx.in(4).rank() != 4) return node_error(ctx.node(), "past_key must have rank 4");
    p.past = ctx.in(4).dim(2);
    FEWBIT_TRY(need_dims(ctx, 4, Dims{p.batch, p.k.heads, p.past, p.k.size}, "past_key"));
    FEWBIT_TRY(need_dims(ctx, 5, Dims{p.batch, p.v.heads, p.past, p.v.size}, "past_value"));
  }
  p.total = p.past + p.k.length;
  if (!ctx.has(6)) return {};
  if (ctx.has(4)) {
    return node_error(ctx.node(), "nonpad_kv_seqlen cannot be combined with past_key");
  }
  const std::array<int64_t, 1> dims{p.batch};
  FEWBIT_TRY(need_dims(ctx, 6, dims, "nonpad_kv_seqlen"));
  FEWBIT_ASSIGN(p.valid, read_ints(ctx.node(), ctx.in(6), "nonpad_kv_seqlen"));
  for (int64_t n : p.valid) {
    if (n < 0 || n > p.total) {
      return node_error(ctx.node(), "nonpad_kv_seqlen {} of {} keys", n, p.total);
    }
  }
  return {};
}

Status read_mask(const OpContext& ctx, DType compute, AttentionProblem& p) {
  if (!ctx.has(3)) return {};
  const Tensor& mask = ctx.in(3);
  const Dims full{p.batch, p.q.heads, p.q.length, p.total};
  bool fits = mask.rank() >= 1 && mask.rank() <= 4;
  Dims dims(4, 1);
  if (fits) std::copy(mask.dims().rbegin(), mask.dims().rend(), dims.rbegin());
  for (size_t d = 0; d < 3; ++d) fits = fits && (dims[d] == 1 || dims[d] == full[d]);
  if (!fits || dims[3] > p.total) {
    return node_error(ctx.node(), "attn_mask {} does not broadcast to {}", to_string(mask.dims()),
                      to_string(full));
  }
  const Dims strides = strides_of(dims);
  for (size_t d = 0; d < 3; ++d) p.mask.stride[d] = dims[d] == 1 ? 0 : strides[d];
  p.mask.columns = dims[3];
  if (mask.type() == DType::kBool) {
    p.mask.allowed = mask;
    return {};
  }
  FEWBIT_ASSIGN(p.mask.bias, cast(mask, compute));
  return {};
}

Result<AttentionProblem> read_attention(const OpContext& ctx, DType compute) {
  AttentionProblem p{};
  FEWBIT_ASSIGN(p.q, read_heads(ctx, 0, "q_num_heads"));
  FEWBIT_ASSIGN(p.k, read_heads(ctx, 1, "kv_num_heads"));
  FEWBIT_ASSIGN(p.v, read_heads(ctx, 2, "kv_num_heads"));
  p.batch = ctx.in(0).dim(0);
  const bool fits = ctx.in(1).dim(0) == p.batch && ctx.in(2).dim(0) == p.batch &&
                    p.k.size == p.q.size && p.k.length == p.v.length && p.k.heads == p.v.heads &&
                    p.k.heads > 0 && p.q.heads % p.k.heads == 0 && p.q.packed == p.k.packed &&
                    p.q.packed == p.v.packed;
  if (!fits) {
    return node_error(ctx.node(), "Q {}, K {} and V {} do not fit each other",
                      to_string(ctx.in(0).dims()), to_string(ctx.in(1).dims()),
                      to_string(ctx.in(2).dims()));
  }
  FEWBIT_TRY(read_options(ctx, p));
  FEWBIT_TRY(read_cache(ctx, p));
  FEWBIT_TRY(read_mask(ctx, compute, p));
  return p;
}

// [B, H, past + new, D]: the cache followed by the new keys or values, into `out`.
template <typename T>
void append_cache(const AttentionProblem& p, const HeadView& view, const T* past, const T* fresh,
                  T* out) {
  for (int64_t b = 0; b < p.batch; ++b) {
    for (int64_t h = 0; h < view.heads; ++h) {
      T* to = out + (b * view.heads + h) * p.total * view.size;
      if (past != nullptr) {
        std::copy_n(past + (b * view.heads + h) * p.past * view.size, p.past * view.size, to);
      }
      for (int64_t s = 0; s < view.length; ++s) {
        std::copy_n(fresh + view.at(b, h, s), view.size, to + (p.past + s) * view.size);
      }
    }
  }
}

// Rounds a row to a type of less precision than T, in place.
template <typename T>
void round_row(T* row, int64_t n, DType type) {
  for (int64_t j = 0; j < n; ++j) {
    const auto v = static_cast<float>(row[j]);
    if (type == DType::kFloat16) row[j] = static_cast<T>(Half::from_float(v).to_float());
    if (type == DType::kBfloat16) row[j] = static_cast<T>(Bfloat16::from_float(v).to_float());
    if (type == DType::kFloat32) row[j] = static_cast<T>(v);
  }
}

// Adds masks, window and padding to a row of scores. True if some key may be seen.
template <typename T>
bool add_bias(const AttentionProblem& p, int64_t b, int64_t h, int64_t i, T* scores) {
  constexpr T kNever = -std::numeric_limits<T>::infinity();
  const Range seen = p.visible(b, i);
  const int64_t row = b * p.mask.stride[0] + h * p.mask.stride[1] + i * p.mask.stride[2];
  const bool* allowed = p.mask.allowed.defined() ? p.mask.allowed.data<bool>() + row : nullptr;
  const T* bias = p.mask.bias.defined() ? p.mask.bias.data<T>() + row : nullptr;
  bool any = false;
  for (int64_t j = 0; j < p.total; ++j) {
    bool use = j >= seen.first && j < seen.last;
    if (p.mask.given()) use = use && j < p.mask.columns;
    if (use && allowed != nullptr) use = allowed[j];
    if (use && bias != nullptr) {
      use = bias[j] != kNever;
      scores[j] += bias[j];
    }
    if (!use) scores[j] = kNever;
    any = any || use;
  }
  return any;
}

// Softmax of a row; a row of nothing but -infinity becomes zero.
template <typename T>
void softmax_row(T* row, int64_t n) {
  T top = row[0];
  for (int64_t j = 1; j < n; ++j) top = std::max(top, row[j]);
  if (top == -std::numeric_limits<T>::infinity()) top = 0;
  double sum = 0;
  for (int64_t j = 0; j < n; ++j) {
    row[j] = std::exp(row[j] - top);
    sum += static_cast<double>(row[j]);
  }
  const T inverse = sum == 0 ? T{0} : static_cast<T>(1 / sum);
  for (int64_t j = 0; j < n; ++j) row[j] *= inverse;
}

// One query row: its scores (scratch of `total` elements), the debug row (may be nullptr), the sum.
template <typename T>
void attend_row(const AttentionProblem& p, int64_t b, int64_t h, int64_t i, const T* query,
                const T* keys, const T* values, T* scores, T* qk, T* out) {
  for (int64_t j = 0; j < p.total; ++j) {
    T dot = 0;
    for (int64_t d = 0; d < p.q.size; ++d) dot += query[d] * keys[j * p.q.size + d];
    scores[j] = dot * static_cast<T>(p.scale);
  }
  const auto show = [&](int64_t mode) {
    if (qk != nullptr && p.qk_mode == mode) std::copy_n(scores, p.total, qk);
  };
  show(0);
  if (p.softcap > 0) {
    const T cap = static_cast<T>(p.softcap);
    for (int64_t j = 0; j < p.total; ++j) scores[j] = cap * std::tanh(scores[j] / cap);
  }
  show(1);
  const bool any = add_bias(p, b, h, i, scores);
  show(2);
  if (any) {
    round_row(scores, p.total, p.softmax_type);
    softmax_row(scores, p.total);
    round_row(scores, p.total, p.softmax_type);
  } else {
    std::fill_n(scores, p.total, T{0});
  }
  show(3);
  std::fill_n(out, p.v.size, T{0});
  for (int64_t j = 0; j < p.total; ++j) {
    if (scores[j] == 0) continue;  // 0 * infinity in a padded value is not wanted
    for (int64_t d = 0; d < p.v.size; ++d) out[d] += scores[j] * values[j * p.v.size + d];
  }
}

template <typename T>
Result<Tensor> with_cache(const OpContext& ctx, const AttentionProblem& p, const HeadView& view,
                          size_t fresh_at, size_t past_at) {
  FEWBIT_ASSIGN(const Tensor fresh, load<T>(ctx, fresh_at));
  Tensor past;
  if (ctx.has(past_at)) {
    FEWBIT_ASSIGN(past, load<T>(ctx, past_at));
  }
  FEWBIT_ASSIGN(Tensor all, make_tensor(ctx.node(), DTypeOf<T>::value,
                                        {p.batch, view.heads, p.total, view.size}));
  append_cache(p, view, past.defined() ? std::as_const(past).data<T>() : nullptr, fresh.data<T>(),
               all.data<T>());
  return all;
}

template <typename T>
Status attention_typed(OpContext& ctx) {
  FEWBIT_ASSIGN(const AttentionProblem p, read_attention(ctx, DTypeOf<T>::value));
  const DType type = ctx.in(0).type();
  FEWBIT_ASSIGN(const Tensor q, load<T>(ctx, 0));
  FEWBIT_ASSIGN(const Tensor k, with_cache<T>(ctx, p, p.k, 1, 4));
  FEWBIT_ASSIGN(const Tensor v, with_cache<T>(ctx, p, p.v, 2, 5));
  HeadView out_view{p.q.heads, p.q.length, p.v.size, p.q.packed};
  const Dims out_dims = p.q.packed ? Dims{p.batch, p.q.length, p.q.heads * p.v.size}
                                   : Dims{p.batch, p.q.heads, p.q.length, p.v.size};
  FEWBIT_ASSIGN(auto y, FloatOutput<T>::make(ctx, 0, type, out_dims));
  FEWBIT_ASSIGN(auto qk, FloatOutput<T>::make_wanted(ctx, 3, type,
                                                     {p.batch, p.q.heads, p.q.length, p.total}));
  const int64_t rows = p.q.heads * p.q.length, share = p.q.heads / p.k.heads;
  T *out = y.data(), *debug = qk.data();
#pragma omp parallel if (worth_threads(p.batch, rows, p.total, p.q.size))
  {
    std::vector<T> scores(static_cast<size_t>(p.total) + 1);
#pragma omp for schedule(static)
    for (int64_t r = 0; r < p.batch * rows; ++r) {
      const int64_t b = r / rows, h = r % rows / p.q.length, i = r % p.q.length;
      const int64_t kv = (b * p.k.heads + h / share) * p.total;
      attend_row(p, b, h, i, q.data<T>() + p.q.at(b, h, i), k.data<T>() + kv * p.k.size,
                 v.data<T>() + kv * p.v.size, scores.data(),
                 debug == nullptr ? nullptr : debug + r * p.total, out + out_view.at(b, h, i));
    }
  }
  for (const size_t i : {1, 2}) {
    if (!ctx.wants(i)) continue;
    FEWBIT_ASSIGN(Tensor present, cast(i == 1 ? k : v, ctx.in(i).type()));
    ctx.set_out(i, std::move(present));
  }
  FEWBIT_TRY(qk.commit());
  return y.commit();
}

Status attention(OpContext& ctx) {
  return with_compute_type(ctx.node(), ctx.in(0).type(), [&](auto tag) {
    return attention_typed<typename decltype(tag)::type>(ctx);
  });
}

constexpr OpRow kRows[] = {
    {"", "Attention", 23, attention},
};

}  // namespace

std::span<const OpRow> attention_table() {
  return kRows;
}

}  // namespace fewbit::ops
