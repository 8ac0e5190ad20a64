// FlexAttention (ai.onnx.preview): attention whose scores and probabilities pass through graphs of
// the model's own. Here the scores are whole tensors, because the graphs see them whole.

#include <cmath>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/nested.h"
#include "runtime/ops/subgraph.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

// K or V [B, H, S, D] with every head repeated `share` times.
Result<Tensor> repeat_heads(const Node& node, const Tensor& x, int64_t share) {
  if (share == 1) return x;
  FEWBIT_ASSIGN(Tensor out,
                make_tensor(node, x.type(), {x.dim(0), x.dim(1) * share, x.dim(2), x.dim(3)}));
  const int64_t head_bytes = bytes_of(x.type(), x.dim(2) * x.dim(3));
  for (int64_t h = 0; h < x.dim(0) * x.dim(1) * share; ++h) {
    std::copy_n(x.raw() + h / share * head_bytes, head_bytes, out.raw() + h * head_bytes);
  }
  return out;
}

Result<Tensor> run_plain(const Node& like, std::string_view op_type, Dims perm,
                         std::vector<RuntimeValue> inputs) {
  Node node = nested_node(like, op_type);
  if (!perm.empty()) node.attributes["perm"] = std::move(perm);
  return run_nested(node, std::move(inputs));
}

// The tensor after the graph attribute `key`, or as it is if there is none.
Result<Tensor> modified(OpContext& ctx, std::string_view key, Tensor x) {
  if (!ctx.node().has(key)) return x;
  FEWBIT_ASSIGN(const Graph* graph, subgraph(ctx, key));
  FEWBIT_ASSIGN(auto results, run_subgraph(ctx, *graph, {x}));
  if (results.size() != 1 || !results[0].is_tensor() || results[0].tensor().type() != x.type() ||
      results[0].tensor().dims() != x.dims()) {
    return node_error(ctx.node(), "the graph '{}' must keep {} {}", key, name_of(x.type()),
                      to_string(x.dims()));
  }
  return std::move(results[0].tensor());
}

Status check_shapes(const OpContext& ctx) {
  const Dims &q = ctx.in(0).dims(), &k = ctx.in(1).dims(), &v = ctx.in(2).dims();
  const bool fits = q.size() == 4 && k.size() == 4 && v.size() == 4 && q[0] == k[0] &&
                    k[0] == v[0] && k[1] == v[1] && k[2] == v[2] && q[3] == k[3] && k[1] > 0 &&
                    q[1] % k[1] == 0;
  if (fits) return {};
  return node_error(ctx.node(), "Q {}, K {} and V {} do not fit each other", to_string(q),
                    to_string(k), to_string(v));
}

Result<DType> softmax_type(const OpContext& ctx) {
  const int64_t type = ctx.node().get_int("softmax_precision", 0);
  if (type == 0) {
    return ctx.in(0).type() == DType::kFloat64 ? DType::kFloat64 : DType::kFloat32;
  }
  for (const DType t : {DType::kFloat32, DType::kFloat16, DType::kFloat64, DType::kBfloat16}) {
    if (type == static_cast<int64_t>(t)) return t;
  }
  return node_error(ctx.node(), "softmax_precision {} is no float type", type);
}

Status flex_attention(OpContext& ctx) {
  FEWBIT_TRY(check_shapes(ctx));
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(const DType type, softmax_type(ctx));
  const DType wide = type == DType::kFloat64 ? DType::kFloat64 : DType::kFloat32;
  const int64_t share = ctx.in(0).dim(1) / ctx.in(1).dim(1);
  FEWBIT_ASSIGN(const Tensor k_heads, repeat_heads(node, ctx.in(1), share));
  FEWBIT_ASSIGN(const Tensor v_heads, repeat_heads(node, ctx.in(2), share));
  FEWBIT_ASSIGN(const Tensor q, cast(ctx.in(0), wide));
  FEWBIT_ASSIGN(const Tensor k, cast(k_heads, wide));
  FEWBIT_ASSIGN(const Tensor transposed, run_plain(node, "Transpose", {0, 1, 3, 2}, {k}));
  FEWBIT_ASSIGN(Tensor scores, run_plain(node, "MatMul", {}, {q, transposed}));
  const double scale = node.has("scale") ? double{node.get_float("scale", 1.0F)}
                                         : 1 / std::sqrt(static_cast<double>(q.dim(3)));
  FEWBIT_TRY(dispatch(node, wide, Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    for (T& s : scores.span<T>()) s *= static_cast<T>(scale);
    return {};
  }));
  FEWBIT_ASSIGN(scores, cast(scores, type));
  FEWBIT_ASSIGN(scores, modified(ctx, "score_mod", std::move(scores)));
  FEWBIT_ASSIGN(Tensor shares, run_plain(node, "Softmax", {}, {scores}));
  FEWBIT_ASSIGN(shares, modified(ctx, "prob_mod", std::move(shares)));
  FEWBIT_ASSIGN(const Tensor v, cast(v_heads, type));
  FEWBIT_ASSIGN(const Tensor sum, run_plain(node, "MatMul", {}, {shares, v}));
  FEWBIT_ASSIGN(Tensor y, cast(sum, ctx.in(0).type()));
  ctx.set_out(0, std::move(y));
  return {};
}

constexpr OpRow kRows[] = {
    {"ai.onnx.preview", "FlexAttention", 1, flex_attention},
};

}  // namespace

std::span<const OpRow> flex_attention_table() {
  return kRows;
}

}  // namespace fewbit::ops
