// com.microsoft operators on 8-bit tensors, element by element or pooled: QLinearAdd, QLinearMul,
// QLinearConcat, QLinearSigmoid, QLinearLeakyRelu, QLinearSoftmax, QLinearAveragePool,
// QLinearGlobalAveragePool. Every result is the real value over the output's scale, rounded half to
// even, plus its zero point.

#include <cmath>

#include "runtime/ops/broadcast.h"
#include "runtime/ops/nested.h"
#include "runtime/ops/pool.h"
#include "runtime/ops/quant_math.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

// Scale and zero point of a whole 8-bit tensor.
struct TensorScale {
  float scale;
  int32_t zero;
};

Result<TensorScale> read_tensor_scale(const OpContext& ctx, size_t scale, size_t zero, DType type) {
  TensorScale s{};
  FEWBIT_ASSIGN(s.scale, read_scale(ctx, scale));
  FEWBIT_ASSIGN(s.zero, read_zero(ctx, zero, type));
  return s;
}

// C = f(A, B): inputs A, its scale and zero point, B, its scale and zero point, those of C.
template <typename F>
Status qlinear_binary(OpContext& ctx, const F& f) {
  const Tensor &a = ctx.in(0), &b = ctx.in(3);
  const DType type = a.type();
  FEWBIT_TRY(need_same_type(ctx, 0, 3));
  FEWBIT_ASSIGN(const TensorScale as, read_tensor_scale(ctx, 1, 2, type));
  FEWBIT_ASSIGN(const TensorScale bs, read_tensor_scale(ctx, 4, 5, type));
  FEWBIT_ASSIGN(const TensorScale cs, read_tensor_scale(ctx, 6, 7, type));
  FEWBIT_ASSIGN(const BroadcastPlan plan, plan_broadcast(ctx.node(), {a.dims(), b.dims()}));
  FEWBIT_ASSIGN(Tensor * c, make_output(ctx, 0, type, plan.dims));
  return dispatch(ctx.node(), type, Codes8{}, [&](auto tag) -> Status {
    using Q = typename decltype(tag)::type;
    broadcast_binary(plan, a.data<Q>(), b.data<Q>(), c->data<Q>(), [&](Q x, Q y) {
      return to_code<Q>(f(x - as.zero, y - bs.zero, as.scale, bs.scale, cs.scale), cs.zero);
    });
    return {};
  });
}

Status qlinear_add(OpContext& ctx) {
  return qlinear_binary(ctx, [](int32_t a, int32_t b, float as, float bs, float cs) {
    return static_cast<float>(a) * (as / cs) + static_cast<float>(b) * (bs / cs);
  });
}

Status qlinear_mul(OpContext& ctx) {
  return qlinear_binary(ctx, [](int32_t a, int32_t b, float as, float bs, float cs) {
    return static_cast<float>(a * b) * (as * bs / cs);
  });
}

// The codes of f(x) for each of the 256 codes of x.
template <typename Q, typename F>
std::array<Q, 256> code_table(const TensorScale& in, const TensorScale& out, const F& f) {
  std::array<Q, 256> table{};
  for (int32_t i = 0; i < 256; ++i) {
    const auto code = static_cast<Q>(static_cast<uint8_t>(i));
    const float x = static_cast<float>(int32_t{code} - in.zero) * in.scale;
    table[static_cast<size_t>(i)] = to_code<Q>(f(x) / out.scale, out.zero);
  }
  return table;
}

// Y = f(X): inputs X, its scale and zero point, those of Y.
template <typename F>
Status qlinear_unary(OpContext& ctx, const F& f) {
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(const TensorScale in, read_tensor_scale(ctx, 1, 2, x.type()));
  FEWBIT_ASSIGN(const TensorScale out, read_tensor_scale(ctx, 3, 4, x.type()));
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), x.dims()));
  return dispatch(ctx.node(), x.type(), Codes8{}, [&](auto tag) -> Status {
    using Q = typename decltype(tag)::type;
    const auto table = code_table<Q>(in, out, f);
    for (int64_t i = 0; i < x.elements(); ++i) {
      y->data<Q>()[i] = table[static_cast<uint8_t>(x.data<Q>()[i])];
    }
    return {};
  });
}

Status qlinear_sigmoid(OpContext& ctx) {
  return qlinear_unary(ctx, [](float x) { return 1.0F / (1.0F + std::exp(-x)); });
}

Status qlinear_leaky_relu(OpContext& ctx) {
  const float alpha = ctx.node().get_float("alpha", 0.01F);
  return qlinear_unary(ctx, [alpha](float x) { return x >= 0 ? x : alpha * x; });
}

// Inputs: scale and zero point of Y, then X, scale and zero point for each part.
Status qlinear_concat(OpContext& ctx) {
  const Node& node = ctx.node();
  const size_t parts = ctx.input_count() < 5 ? 0 : (ctx.input_count() - 2) / 3;
  if (parts == 0 || ctx.input_count() != 2 + 3 * parts || !ctx.has(1)) {
    return node_error(node, "{} inputs are no list of X, scale, zero point", ctx.input_count());
  }
  const DType type = ctx.in(1).type();
  FEWBIT_ASSIGN(const TensorScale out, read_tensor_scale(ctx, 0, 1, type));
  std::vector<RuntimeValue> converted;
  for (size_t p = 0; p < parts; ++p) {
    const size_t at = 2 + 3 * p;
    const Tensor& x = ctx.in(at);
    if (x.type() != type) return type_error(node, x.type());
    FEWBIT_ASSIGN(const TensorScale in, read_tensor_scale(ctx, at + 1, at + 2, type));
    FEWBIT_ASSIGN(Tensor y, make_tensor(node, type, x.dims()));
    FEWBIT_TRY(dispatch(node, type, Codes8{}, [&](auto tag) -> Status {
      using Q = typename decltype(tag)::type;
      const auto table = code_table<Q>(in, out, [](float v) { return v; });
      for (int64_t i = 0; i < x.elements(); ++i) {
        y.data<Q>()[i] = table[static_cast<uint8_t>(x.data<Q>()[i])];
      }
      return {};
    }));
    converted.emplace_back(std::move(y));
  }
  Node concat = nested_node(node, "Concat");
  concat.attributes["axis"] = node.get_int("axis", 1);
  FEWBIT_ASSIGN(Tensor all, run_nested(concat, std::move(converted)));
  ctx.set_out(0, std::move(all));
  return {};
}

// Softmax of the real values; `opset` says which of ONNX's two meanings `axis` has.
Status qlinear_softmax(OpContext& ctx) {
  const Node& node = ctx.node();
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(const TensorScale in, read_tensor_scale(ctx, 1, 2, x.type()));
  FEWBIT_ASSIGN(const TensorScale out, read_tensor_scale(ctx, 3, 4, x.type()));
  FEWBIT_ASSIGN(Tensor real, cast(x, DType::kFloat32));
  for (float& v : real.span<float>()) v = (v - static_cast<float>(in.zero)) * in.scale;
  const int64_t opset = node.get_int("opset", 13);
  Node softmax = nested_node(node, "Softmax", opset < 13 ? 11 : 13);
  softmax.attributes["axis"] = node.get_int("axis", opset < 13 ? 1 : -1);
  FEWBIT_ASSIGN(const Tensor shares, run_nested(softmax, {std::move(real)}));
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), x.dims()));
  return dispatch(node, x.type(), Codes8{}, [&](auto tag) -> Status {
    using Q = typename decltype(tag)::type;
    for (int64_t i = 0; i < x.elements(); ++i) {
      y->data<Q>()[i] = to_code<Q>(shares.data<float>()[i] / out.scale, out.zero);
    }
    return {};
  });
}

// The input with channels second, whatever channels_last says, and the way back.
Result<Tensor> move_channels(const Node& node, const Tensor& x, bool to_second) {
  Node transpose = nested_node(node, "Transpose");
  const int64_t rank = x.rank();
  std::vector<int64_t> perm{0};
  if (to_second) perm.push_back(rank - 1);
  for (int64_t i = to_second ? 1 : 2; i < (to_second ? rank - 1 : rank); ++i) perm.push_back(i);
  if (!to_second) perm.push_back(1);
  transpose.attributes["perm"] = std::move(perm);
  return run_nested(transpose, {x});
}

// Averages of the windows of X [N, C, spatial...] as codes of `out`.
Result<Tensor> average_windows(const Node& node, const Window& w, const Tensor& x,
                               bool count_include_pad, const TensorScale& in,
                               const TensorScale& out) {
  const int64_t planes = x.dim(0) * x.dim(1);
  FEWBIT_ASSIGN(Tensor y, make_tensor(node, x.type(), w.output_dims(x.dim(0), x.dim(1))));
  const float multiplier = in.scale / out.scale;
  FEWBIT_TRY(dispatch(node, x.type(), Codes8{}, [&](auto tag) -> Status {
    using Q = typename decltype(tag)::type;
    for (int64_t p = 0; p < planes; ++p) {
      Q* dst = y.data<Q>() + p * Window::volume(w.out);
      // ONNX Runtime counts the whole window, even what lies beyond the padding (ceil_mode).
      const auto count = [&](const Taps& taps) {
        return count_include_pad ? Window::volume(w.kernel) : taps.count();
      };
      average_plane(w, x.data<Q>() + p * Window::volume(w.in), in.zero, count,
                    [&](int64_t o, double v) {
                      dst[o] = to_code<Q>(static_cast<float>(v) * multiplier, out.zero);
                    });
    }
    return {};
  }));
  return y;
}

// The window of a global pool: all of each plane.
Result<Window> whole_plane(const Node& node, const Dims& dims) {
  Window w;
  w.rank = static_cast<int>(dims.size()) - 2;
  if (w.rank < 1 || w.rank > 3) {
    return unsupported("{}: {} spatial dimensions; 1 to 3 are supported", node.label(), w.rank);
  }
  std::copy(dims.begin() + 2, dims.end(), w.in.end() - w.rank);
  w.kernel = w.in;
  return w;
}

template <bool global>
Status qlinear_average_pool(OpContext& ctx) {
  const Node& node = ctx.node();
  const DType type = ctx.in(0).type();
  FEWBIT_ASSIGN(const TensorScale in, read_tensor_scale(ctx, 1, 2, type));
  FEWBIT_ASSIGN(const TensorScale out, read_tensor_scale(ctx, 3, 4, type));
  if (ctx.in(0).rank() < 3) {
    return node_error(node, "the input needs a rank of at least 3, has shape {}",
                      to_string(ctx.in(0).dims()));
  }
  const bool channels_last = node.get_int("channels_last", 0) != 0;
  Tensor x = ctx.in(0);
  if (channels_last) {
    FEWBIT_ASSIGN(x, move_channels(node, x, true));
  }
  Window w;
  if constexpr (global) {
    FEWBIT_ASSIGN(w, whole_plane(node, x.dims()));
  } else {
    FEWBIT_ASSIGN(
        w, read_window(ctx, std::span(x.dims()).subspan(2), {}, node.get_int("ceil_mode", 0) != 0));
  }
  const bool include = node.get_int("count_include_pad", 0) != 0;
  FEWBIT_ASSIGN(Tensor y, average_windows(node, w, x, include, in, out));
  if (channels_last) {
    FEWBIT_ASSIGN(y, move_channels(node, y, false));
  }
  ctx.set_out(0, std::move(y));
  return {};
}

constexpr OpRow kRows[] = {
    {"com.microsoft", "QLinearAdd", 1, qlinear_add},
    {"com.microsoft", "QLinearMul", 1, qlinear_mul},
    {"com.microsoft", "QLinearSigmoid", 1, qlinear_sigmoid},
    {"com.microsoft", "QLinearLeakyRelu", 1, qlinear_leaky_relu},
    {"com.microsoft", "QLinearConcat", 1, qlinear_concat},
    {"com.microsoft", "QLinearSoftmax", 1, qlinear_softmax},
    {"com.microsoft", "QLinearAveragePool", 1, qlinear_average_pool<false>},
    {"com.microsoft", "QLinearGlobalAveragePool", 1, qlinear_average_pool<true>},
};

}  // namespace

std::span<const OpRow> ms_quant_table() {
  return kRows;
}

}  // namespace fewbit::ops
