// DequantizeLinear -> operator -> [Relu | Clip] -> QuantizeLinear becomes one integer operator, as
// the table in runtime/qdq/patterns.h lists them, in ONNX's and ONNX Runtime's own vocabulary
// (QLinearConv, QLinearAdd, ...): a model that comes in that form runs on the same kernels.
// An activation that the zero-point does not absorb becomes a Clip on the codes, which is the same
// function (runtime/qdq/qdq.h) and which the kernels fuse.

#include <algorithm>
#include <cmath>

#include "runtime/interpreter.h"
#include "runtime/qdq/few_bit_operand.h"
#include "runtime/qdq/patterns.h"
#include "runtime/qdq/qdq.h"
#include "runtime/rewrite/rewrite.h"

namespace fewbit {
namespace {

constexpr std::string_view kMicrosoft = "com.microsoft";

// The value of an elementwise node at every code, by its plain operator on the dequantized codes.
std::optional<Tensor> table_of(const Graph& graph, const Node& node, const QuantParams& in,
                               const QuantParams& out, uint64_t seed) {
  std::vector<float> reals(256);
  for (int i = 0; i < 256; ++i) {
    int code = in.type == DType::kInt8 ? static_cast<int8_t>(i) : i;
    reals[static_cast<size_t>(i)] = static_cast<float>(code - in.zero[0]) * in.scale[0];
  }
  std::vector<RuntimeValue> inputs = {Tensor::from({256}, reals)};
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    inputs.emplace_back();
    if (node.inputs[i] != kNone) inputs.back() = *graph.constant(node.inputs[i]);
  }
  auto results = run_node(node, std::move(inputs), Scope{}, seed);
  if (!results.ok() || !results->front().is_tensor()) return std::nullopt;
  const Tensor& values = results->front().tensor();
  if (values.type() != DType::kFloat32 || values.elements() != 256) return std::nullopt;
  auto [lo, hi] = code_range(out.type);
  Tensor table = Tensor::uninitialized(DType::kUint8, {256});
  for (int i = 0; i < 256; ++i) {
    float v = values.data<float>()[i] / out.scale[0];
    if (std::isnan(v)) v = 0;
    v = std::clamp(std::nearbyintf(v), static_cast<float>(lo - out.zero[0]),
                   static_cast<float>(hi - out.zero[0]));
    table.data<uint8_t>()[i] = static_cast<uint8_t>(static_cast<int32_t>(v) + out.zero[0]);
  }
  return table;
}

// The quantizer behind an operator, with the activations between them.
struct Tail {
  Quantizer quantizer;
  std::vector<NodeId> activations;
  std::pair<int32_t, int32_t> range;
};

class Fuser {
 public:
  Fuser(Graph& graph, const RewriteContext& context)
      : graph_(graph), context_(context), uses_(graph) {}

  int run() {
    int fused = 0;
    const std::vector<NodeId> order = graph_.order();
    for (NodeId id : order) {
      if (!graph_.is_live(id)) continue;
      const QdqRow* row = find_qdq(graph_.node(id));
      if (row != nullptr && fuse(id, *row)) {
        ++fused;
        uses_ = UseMap(graph_);
      }
    }
    return fused;
  }

 private:
  bool fuse(NodeId id, const QdqRow& row) {
    switch (row.role) {
      case QdqRole::kWeighted:
        return graph_.node(id).is("Conv") ? fuse_conv(id) : fuse_product(id, row);
      case QdqRole::kBinary:
      case QdqRole::kVariadic:
        return fuse_inputs(id, row);
      case QdqRole::kUnary:
        return fuse_unary(id, row);
      case QdqRole::kTable:
        return fuse_table(id);
      case QdqRole::kSameScale:
        return fuse_same_scale(id);
      case QdqRole::kActivation:
        return fuse_table(id);
      case QdqRole::kBound:
        return fuse_bound(id);
    }
    return false;
  }

  std::optional<Tail> tail_of(ValueId value) const {
    Tail tail;
    ValueId v = value;
    for (;;) {
      if (context_.keeps(graph_, v)) return std::nullopt;
      NodeId next = uses_.single_consumer(v);
      if (next == kNone) return std::nullopt;
      if (auto quantizer = as_quantizer(graph_, next)) {
        if (!quantizer->params.is_8bit()) return std::nullopt;
        tail.quantizer = std::move(*quantizer);
        break;
      }
      const Node& node = graph_.node(next);
      if (!clamp_bounds(graph_, node) || node.input(0) != v) return std::nullopt;
      tail.activations.push_back(next);
      v = node.output(0);
    }
    tail.range = code_range(tail.quantizer.params.type);
    for (NodeId a : tail.activations) {
      auto range = clamp_codes(graph_, graph_.node(a), tail.quantizer.params, tail.range);
      if (!range) return std::nullopt;
      tail.range = *range;
    }
    return tail;
  }

  // An 8-bit activation or weight.
  std::optional<Dequantized> operand(ValueId value) const {
    auto d = dequantized(graph_, value);
    if (!d || !d->params.is_8bit()) return std::nullopt;
    return d;
  }
  // The weight of a layer: an operand, or integers in few bits (qdq/few_bit_operand.h).
  std::optional<Dequantized> weight(ValueId value) const {
    auto d = operand(value);
    return d ? d : few_bit_operand(graph_, value);
  }
  ValueId weight_codes(const Dequantized& w) {
    return w.quantized != kNone ? w.quantized : add_integers(graph_, w);
  }
  Dims weight_dims(const Dequantized& w) const {
    if (w.quantized != kNone) return graph_.constant(w.quantized)->dims();
    return graph_.node(w.node).get_ints("dims");
  }
  std::optional<Dequantized> activation(ValueId value) const {
    auto d = operand(value);
    if (!d || !d->params.per_tensor()) return std::nullopt;
    return d;
  }

  // Scalars for the integer operators: a missing zero-point becomes an explicit one, and a
  // one-element vector a scalar.
  ValueId scale_input(const QuantParams& params) {
    if (params.per_tensor()) {
      return graph_.add_constant(graph_.unique_name("scale"), Tensor::scalar(params.scale[0]));
    }
    auto n = static_cast<int64_t>(params.scale.size());
    return graph_.add_constant(graph_.unique_name("scale"), Tensor::from({n}, params.scale));
  }
  ValueId zero_input(const QuantParams& params) {
    auto n = static_cast<int64_t>(params.zero.size());
    Tensor t = Tensor::uninitialized(params.type, params.per_tensor() ? Dims{} : Dims{n});
    for (int64_t i = 0; i < n; ++i) {
      t.data<uint8_t>()[i] = static_cast<uint8_t>(params.zero[static_cast<size_t>(i)]);
    }
    return graph_.add_constant(graph_.unique_name("zero_point"), std::move(t));
  }
  void push_params(std::vector<ValueId>& inputs, const QuantParams& params) {
    inputs.push_back(scale_input(params));
    inputs.push_back(zero_input(params));
  }

  // Puts `fused` in the place of `id` and its tail: the quantizer's output is produced by it, or by
  // a Clip on the codes behind it.
  void replace(NodeId id, Node fused, const Tail& tail) {
    ValueId result = tail.quantizer.quantized;
    auto full = code_range(tail.quantizer.params.type);
    const ValueType type =
        ValueType::tensor(tail.quantizer.params.type, graph_.value(result).type.shape);
    fused.name = graph_.node(id).name;
    std::string stem = graph_.value(result).name;
    graph_.remove_node(id);
    for (NodeId a : tail.activations) graph_.remove_node(a);
    graph_.remove_node(tail.quantizer.node);
    graph_.value(result).type = type;
    if (tail.range == full) {
      fused.outputs = {result};
      graph_.add_node(std::move(fused));
      return;
    }
    ValueId unclamped = graph_.add_value(graph_.unique_name(stem + "_unclamped"), type);
    fused.outputs = {unclamped};
    Node clip;
    clip.op_type = "Clip";
    clip.opset = 13;
    clip.name = fused.name.empty() ? "" : fused.name + "_clip";
    auto bound = [&](int32_t code) {
      Tensor t = Tensor::uninitialized(type.elem, {});
      t.data<uint8_t>()[0] = static_cast<uint8_t>(code);
      return graph_.add_constant(graph_.unique_name(stem + "_bound"), std::move(t));
    };
    clip.inputs = {unclamped, bound(tail.range.first), bound(tail.range.second)};
    clip.outputs = {result};
    graph_.add_node(std::move(fused));
    graph_.add_node(std::move(clip));
  }

  // A Gemm's bias may also be one for each row of its input.
  static bool is_per_channel(const Tensor& bias, int64_t channels) {
    return bias.elements() == channels && bias.rank() > 0 && bias.dims().back() == channels;
  }

  // int32 bias with scale x_scale * w_scale; a float bias is brought to that scale.
  std::optional<ValueId> bias_codes(ValueId bias, float x_scale, const QuantParams& w,
                                    int64_t channels) {
    if (bias == kNone) return kNone;
    if (auto d = dequantized(graph_, bias); d && d->constant && d->params.type == DType::kInt32) {
      // The codes are used as they are: their scale must be the product of the others.
      for (size_t c = 0; c < d->params.scale.size(); ++c) {
        double expected = static_cast<double>(x_scale) * w.scale[w.per_tensor() ? 0 : c];
        if (std::abs(d->params.scale[c] - expected) > 1e-3 * expected) return std::nullopt;
      }
      if (!is_per_channel(*graph_.constant(d->quantized), channels)) return std::nullopt;
      return d->quantized;
    }
    const Tensor* b = graph_.constant(bias);
    if (b == nullptr || b->type() != DType::kFloat32 || !is_per_channel(*b, channels)) {
      return std::nullopt;
    }
    Tensor codes = Tensor::uninitialized(DType::kInt32, {channels});
    for (int64_t c = 0; c < channels; ++c) {
      double scale =
          static_cast<double>(x_scale) * w.scale[w.per_tensor() ? 0 : static_cast<size_t>(c)];
      double q = std::nearbyint(b->data<float>()[c] / scale);
      if (!(std::abs(q) < 2147483000.0)) return std::nullopt;
      codes.data<int32_t>()[c] = static_cast<int32_t>(q);
    }
    return graph_.add_constant(graph_.unique_name(graph_.value(bias).name + "_int32"),
                               std::move(codes));
  }

  bool fuse_conv(NodeId id) {
    const Node& conv = graph_.node(id);
    auto x = activation(conv.input(0));
    auto w = weight(conv.input(1));
    if (!x || !w || !w->constant) return false;
    if (!w->params.per_tensor() && w->params.axis != 0) return false;
    auto tail = tail_of(conv.output(0));
    if (!tail) return false;
    int64_t channels = weight_dims(*w)[0];
    make_room_for_bias(graph_, conv.input(2), x->params.scale[0], *w);
    auto bias = bias_codes(conv.input(2), x->params.scale[0], w->params, channels);
    if (!bias) return false;
    Node fused;
    fused.op_type = "QLinearConv";
    fused.opset = 10;
    fused.attributes = conv.attributes;
    fused.inputs = {x->quantized};
    push_params(fused.inputs, x->params);
    fused.inputs.push_back(weight_codes(*w));
    push_params(fused.inputs, w->params);
    push_params(fused.inputs, tail->quantizer.params);
    if (*bias != kNone) fused.inputs.push_back(*bias);
    replace(id, std::move(fused), *tail);
    return true;
  }

  // MatMul and Gemm. Without a quantizer behind them they give floats.
  bool fuse_product(NodeId id, const QdqRow& row) {
    const Node& node = graph_.node(id);
    auto a = activation(node.input(0));
    auto b = weight(node.input(1));
    if (!a || !b || (!b->constant && !b->params.per_tensor())) return false;
    bool is_gemm = node.is("Gemm");
    bool transposed = is_gemm && node.get_int("transB", 0) != 0;
    if (is_gemm && (node.get_float("alpha", 1) != 1 || node.get_float("beta", 1) != 1 ||
                    node.get_int("transA", 0) != 0)) {
      return false;
    }
    if (!b->params.per_tensor()) {
      const auto rank = static_cast<int64_t>(weight_dims(*b).size());
      int64_t axis = b->params.axis < 0 ? b->params.axis + rank : b->params.axis;
      if (rank != 2 || axis != (transposed ? 0 : 1)) return false;
    }
    auto tail = tail_of(node.output(0));
    if (context_.keeps(graph_, node.output(0))) return false;
    if (is_gemm) return fuse_gemm(id, *a, *b, transposed, tail, row);
    if (!tail) return fuse_matmul_to_float(id, *a, *b);
    Node fused;
    fused.op_type = row.fused;
    fused.domain = row.fused_domain;
    fused.opset = 10;
    fused.inputs = {a->quantized};
    push_params(fused.inputs, a->params);
    fused.inputs.push_back(weight_codes(*b));
    push_params(fused.inputs, b->params);
    push_params(fused.inputs, tail->quantizer.params);
    replace(id, std::move(fused), *tail);
    return true;
  }

  bool fuse_gemm(NodeId id, const Dequantized& a, Dequantized& b, bool transposed,
                 const std::optional<Tail>& tail, const QdqRow& row) {
    const Node& node = graph_.node(id);
    if (!b.constant) return false;
    int64_t channels = weight_dims(b)[transposed ? 0 : 1];
    make_room_for_bias(graph_, node.input(2), a.params.scale[0], b);
    auto bias = bias_codes(node.input(2), a.params.scale[0], b.params, channels);
    if (!bias) return false;
    Node fused;
    fused.op_type = row.fused;
    fused.domain = row.fused_domain;
    fused.opset = 1;
    fused.attributes = node.attributes;
    fused.attributes.erase("beta");
    fused.inputs = {a.quantized};
    push_params(fused.inputs, a.params);
    fused.inputs.push_back(weight_codes(b));
    push_params(fused.inputs, b.params);
    fused.inputs.push_back(*bias);
    if (tail) {
      push_params(fused.inputs, tail->quantizer.params);
      replace(id, std::move(fused), *tail);
    } else {
      replace_float(id, std::move(fused));
    }
    return true;
  }

  bool fuse_matmul_to_float(NodeId id, const Dequantized& a, const Dequantized& b) {
    Node fused;
    fused.op_type = "MatMulIntegerToFloat";
    fused.domain = kMicrosoft;
    fused.opset = 1;
    fused.inputs = {a.quantized,           weight_codes(b),      scale_input(a.params),
                    scale_input(b.params), zero_input(a.params), zero_input(b.params)};
    replace_float(id, std::move(fused));
    return true;
  }

  void replace_float(NodeId id, Node fused) {
    ValueId result = graph_.node(id).output(0);
    fused.name = graph_.node(id).name;
    fused.outputs = {result};
    graph_.remove_node(id);
    graph_.add_node(std::move(fused));
  }

  // Add, Mul: (a, as, az, b, bs, bz, ys, yz); Concat: (ys, yz, then x, xs, xz for each).
  bool fuse_inputs(NodeId id, const QdqRow& row) {
    const Node& node = graph_.node(id);
    std::vector<Dequantized> operands;
    for (ValueId in : node.inputs) {
      auto d = in == kNone ? std::nullopt : activation(in);
      if (!d) return false;
      operands.push_back(std::move(*d));
    }
    auto tail = tail_of(node.output(0));
    if (!tail) return false;
    // The integer operators have one type throughout.
    for (const Dequantized& d : operands) {
      if (d.params.type != tail->quantizer.params.type) return false;
    }
    Node fused;
    fused.op_type = row.fused;
    fused.domain = row.fused_domain;
    fused.opset = 1;
    fused.attributes = node.attributes;
    if (row.role == QdqRole::kVariadic) push_params(fused.inputs, tail->quantizer.params);
    for (const Dequantized& d : operands) {
      fused.inputs.push_back(d.quantized);
      push_params(fused.inputs, d.params);
    }
    if (row.role == QdqRole::kBinary) push_params(fused.inputs, tail->quantizer.params);
    replace(id, std::move(fused), *tail);
    return true;
  }

  bool fuse_unary(NodeId id, const QdqRow& row) {
    const Node& node = graph_.node(id);
    auto x = activation(node.input(0));
    auto tail = tail_of(node.output(0));
    if (!x || !tail || x->params.type != tail->quantizer.params.type) return false;
    for (size_t i = 1; i < node.outputs.size(); ++i) {
      if (node.outputs[i] != kNone) return false;
    }
    Node fused;
    fused.op_type = row.fused;
    fused.domain = row.fused_domain;
    fused.opset = 1;
    fused.attributes = node.attributes;
    if (node.is("Softmax")) fused.attributes["opset"] = int64_t{node.opset};
    fused.inputs = {x->quantized};
    push_params(fused.inputs, x->params);
    push_params(fused.inputs, tail->quantizer.params);
    replace(id, std::move(fused), *tail);
    return true;
  }

  // Any elementwise function between 8-bit codes is a table of 256 bytes: QTable in the domain
  // ai.fewbit, inputs (x, table indexed by the byte), made by running the nodes themselves.
  bool fuse_table(NodeId id);

  // min(x, bound) with the same parameters on both sides is min(code, code of the bound).
  bool fuse_bound(NodeId id) {
    const Node& node = graph_.node(id);
    auto x = activation(node.input(0));
    const Tensor* bound = node.inputs.size() == 2 ? graph_.constant(node.input(1)) : nullptr;
    if (!x || bound == nullptr || bound->type() != DType::kFloat32) return false;
    if (context_.keeps(graph_, node.output(0))) return false;
    auto q = as_quantizer(graph_, uses_.single_consumer(node.output(0)));
    if (!q || q->params.type != x->params.type || q->params.scale != x->params.scale ||
        q->params.zero != x->params.zero) {
      return false;
    }
    auto [lo, hi] = code_range(x->params.type);
    Tensor codes = Tensor::uninitialized(x->params.type, bound->dims());
    for (int64_t i = 0; i < bound->elements(); ++i) {
      float v = std::nearbyintf(bound->data<float>()[i] / x->params.scale[0]) +
                static_cast<float>(x->params.zero[0]);
      if (std::isnan(v)) return false;
      v = std::clamp(v, static_cast<float>(lo), static_cast<float>(hi));
      codes.data<uint8_t>()[i] = static_cast<uint8_t>(static_cast<int32_t>(v));
    }
    Node fused = node;
    fused.opset = std::max(node.opset, 12);  // 8-bit types: since 12
    fused.inputs = {x->quantized,
                    graph_.add_constant(graph_.unique_name("bound_codes"), std::move(codes))};
    fused.outputs = {q->quantized};
    Value& v = graph_.value(q->quantized);
    v.type = ValueType::tensor(x->params.type, v.type.shape);
    graph_.remove_node(id);
    graph_.remove_node(q->node);
    graph_.add_node(std::move(fused));
    return true;
  }

  // DQ -> op -> Q with the same parameters on both sides: the operator moves codes.
  bool fuse_same_scale(NodeId id) {
    const Node& node = graph_.node(id);
    auto x = activation(node.input(0));
    if (!x) return false;
    if (node.is("MaxPool") && node.output(1) != kNone) return false;
    if (node.is("Pad") && !pads_with_zeros(graph_, node)) return false;
    std::vector<Quantizer> quantizers;
    for (ValueId out : node.outputs) {
      if (out == kNone || context_.keeps(graph_, out)) return false;
      auto q = as_quantizer(graph_, uses_.single_consumer(out));
      if (!q || q->params.type != x->params.type || q->params.scale != x->params.scale ||
          q->params.zero != x->params.zero) {
        return false;
      }
      quantizers.push_back(std::move(*q));
    }
    Node moved = node;
    graph_.remove_node(id);
    moved.inputs[0] = x->quantized;
    if (moved.is("MaxPool")) moved.opset = std::max(moved.opset, 12);  // 8-bit types: since 12
    if (moved.is("Pad")) {
      moved.opset = std::max(moved.opset, 13);
      moved.inputs.resize(std::max<size_t>(moved.inputs.size(), 3), kNone);
      QuantParams zero = x->params;
      moved.inputs[2] = zero_input(zero);
    }
    for (size_t i = 0; i < quantizers.size(); ++i) {
      graph_.remove_node(quantizers[i].node);
      Value& v = graph_.value(quantizers[i].quantized);
      v.type = ValueType::tensor(x->params.type, v.type.shape);
      moved.outputs[i] = quantizers[i].quantized;
    }
    graph_.add_node(std::move(moved));
    return true;
  }

  Graph& graph_;
  const RewriteContext& context_;
  UseMap uses_;
};

bool Fuser::fuse_table(NodeId id) {
  const Node& node = graph_.node(id);
  auto x = activation(node.input(0));
  auto tail = tail_of(node.output(0));
  if (!x || !tail) return false;
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    if (node.inputs[i] != kNone && graph_.constant(node.inputs[i]) == nullptr) return false;
  }
  auto table = table_of(graph_, node, x->params, tail->quantizer.params, context_.seed);
  if (!table) return false;
  Node fused;
  fused.op_type = "QTable";
  fused.domain = "ai.fewbit";
  fused.opset = 1;
  fused.attributes["function"] = node.op_type;
  fused.attributes["to"] = static_cast<int64_t>(tail->quantizer.params.type);
  fused.inputs = {x->quantized,
                  graph_.add_constant(graph_.unique_name("table"), std::move(*table))};
  replace(id, std::move(fused), *tail);
  return true;
}

}  // namespace

Result<int> fuse_qdq(Graph& graph, const RewriteContext& context) {
  int fused = Fuser(graph, context).run();
  FEWBIT_TRY(graph.sort());
  return fused;
}

}  // namespace fewbit
