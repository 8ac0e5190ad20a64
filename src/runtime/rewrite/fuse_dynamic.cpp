// Dynamic quantization, as exporters write it, becomes two operators of the domain ai.fewbit:
//
//   QuantizeRows(x) -> codes, scale, zero     for one scale per row, which ONNX spells in
//   primitives QDynamicMatMul(codes, scale, zero, weight, weight scale, weight zero, bias) -> float
//
// Recognised (passes/quantize_dynamic.h says where the per-row form comes from):
//   DynamicQuantizeLinear -> MatMulInteger -> Cast -> Mul(x_scale * w_scale) [-> Add]
//   DynamicQuantizeLinear -> MatMulIntegerToFloat;  DynamicQuantizeMatMul        (ONNX Runtime's)
//   rows: Abs, ReduceMax, Max, Div, Div, Round, Cast -> MatMulInteger -> Cast -> Mul -> Mul [->
//   Add]
//         and the asymmetric form with ReduceMin, ReduceMax and a correction by column sums
//
// Only the last node of a pattern is replaced. What it leaves without a reader is removed as dead;
// what somebody watches in between keeps being computed.

#include <algorithm>

#include "runtime/rewrite/rewrite.h"

namespace fewbit {
namespace {

constexpr std::string_view kMicrosoft = "com.microsoft";
// Ranges below this count as zero (one row's scale may not be 0).
constexpr float kNegligible = 1e-20F;

// What quantized a product's input.
struct Codes {
  ValueId codes = kNone, scale = kNone, zero = kNone;
};

class DynamicFuser {
 public:
  DynamicFuser(Graph& graph, const RewriteContext& context)
      : graph_(graph), context_(context), uses_(graph) {}

  int run() {
    int fused = 0;
    const std::vector<NodeId> order = graph_.order();
    for (NodeId id : order) {
      if (graph_.is_live(id) && graph_.node(id).is("Cast") && fuse_quantizer(id)) ++fused;
    }
    for (NodeId id : order) {
      if (!graph_.is_live(id)) continue;
      const Node& node = graph_.node(id);
      bool changed = node.is("MatMulInteger")                       ? fuse_product(id)
                     : node.is("MatMulIntegerToFloat", kMicrosoft)  ? fuse_to_float(id)
                     : node.is("DynamicQuantizeMatMul", kMicrosoft) ? fuse_whole(id)
                                                                    : false;
      if (changed) ++fused;
    }
    return fused;
  }

 private:
  const Node* producer(ValueId v, std::string_view op) const {
    if (v == kNone || graph_.value(v).producer == kNone) return nullptr;
    const Node& node = graph_.node(graph_.value(v).producer);
    return node.is(op) ? &node : nullptr;
  }
  // The reader of `v` that may be replaced together with the node that makes it.
  NodeId reader(ValueId v, std::string_view op) const {
    if (context_.keeps(graph_, v)) return kNone;
    NodeId next = uses_.single_consumer(v);
    return next != kNone && graph_.is_live(next) && graph_.node(next).is(op) ? next : kNone;
  }
  const float* scalar(ValueId v) const {
    const Tensor* t = graph_.constant(v);
    bool fits = t != nullptr && t->elements() == 1 && t->type() == DType::kFloat32;
    return fits ? t->data<float>() : nullptr;
  }
  bool is_scalar(ValueId v, float expected) const {
    const float* s = scalar(v);
    return s != nullptr && *s == expected;
  }
  // The operand of a commutative `op` beside one that satisfies `test`, or kNone.
  template <typename Test>
  ValueId beside(ValueId v, std::string_view op, const Test& test) const {
    const Node* node = producer(v, op);
    if (node == nullptr || node->inputs.size() != 2) return kNone;
    if (test(node->input(1))) return node->input(0);
    return test(node->input(0)) ? node->input(1) : kNone;
  }
  ValueId beside_scalar(ValueId v, std::string_view op, float expected) const {
    return beside(v, op, [&](ValueId s) { return is_scalar(s, expected); });
  }
  bool is_float(ValueId v) const { return graph_.value(v).type.elem == DType::kFloat32; }

  // The input of a reduction over the last axis that keeps it.
  ValueId reduced(ValueId v, std::string_view op) const {
    const Node* node = producer(v, op);
    if (node == nullptr || node->get_int("keepdims", 1) != 1) return kNone;
    std::vector<int64_t> axes = node->get_ints("axes");
    if (const Tensor* t = graph_.constant(node->input(1)); t != nullptr) {
      if (t->type() != DType::kInt64) return kNone;
      axes.assign(t->span<int64_t>().begin(), t->span<int64_t>().end());
    }
    return axes.size() == 1 && axes[0] == -1 ? node->input(0) : kNone;
  }

  // scale = Max(range, tiny) / steps; returns the range.
  ValueId range_of_scale(ValueId scale, float steps) const {
    const Node* div = producer(scale, "Div");
    if (div == nullptr || !is_scalar(div->input(1), steps)) return kNone;
    return beside(div->input(0), "Max", [&](ValueId v) {
      const float* s = scalar(v);
      return s != nullptr && *s > 0 && *s < kNegligible;
    });
  }

  // Replaces the Cast at the end of a per-row quantizer by QuantizeRows.
  bool fuse_quantizer(NodeId id) {
    const Node cast = graph_.node(id);
    auto to = static_cast<DType>(cast.get_int("to", 0));
    if (to == DType::kInt8) return fuse_symmetric(id, cast);
    return to == DType::kUint8 && fuse_asymmetric(id, cast);
  }

  bool fuse_symmetric(NodeId id, const Node& cast) {
    const Node* round = producer(cast.input(0), "Round");
    const Node* div = round == nullptr ? nullptr : producer(round->input(0), "Div");
    if (div == nullptr) return false;
    ValueId x = div->input(0);
    ValueId scale = div->input(1);
    const Node* abs = producer(reduced(range_of_scale(scale, 127), "ReduceMax"), "Abs");
    if (abs == nullptr || abs->input(0) != x || !is_float(x)) return false;
    replace_quantizer(id, x, {cast.output(0), scale, kNone});
    return true;
  }

  bool fuse_asymmetric(NodeId id, const Node& cast) {
    const Node* clip = producer(cast.input(0), "Clip");
    if (clip == nullptr || !is_scalar(clip->input(1), 0) || !is_scalar(clip->input(2), 255)) {
      return false;
    }
    const Node* add = producer(clip->input(0), "Add");
    const Node* round = add == nullptr ? nullptr : producer(add->input(0), "Round");
    const Node* div = round == nullptr ? nullptr : producer(round->input(0), "Div");
    if (div == nullptr) return false;
    ValueId x = div->input(0);
    ValueId scale = div->input(1);
    ValueId zero = add->input(1);
    const Node* span = producer(range_of_scale(scale, 255), "Sub");
    if (span == nullptr || !is_float(x)) return false;
    ValueId low = span->input(1);
    if (reduced(beside_scalar(span->input(0), "Max", 0), "ReduceMax") != x ||
        reduced(beside_scalar(low, "Min", 0), "ReduceMin") != x) {
      return false;
    }
    const Node* zero_round = producer(zero, "Round");
    const Node* zero_div = zero_round == nullptr ? nullptr : producer(zero_round->input(0), "Div");
    const Node* depth = zero_div == nullptr ? nullptr : producer(zero_div->input(0), "Neg");
    if (depth == nullptr || zero_div->input(1) != scale || depth->input(0) != low) return false;
    // The zero-points as int32, which the products behind it read.
    for (NodeId other : uses_.consumers[static_cast<size_t>(zero)]) {
      const Node& node = graph_.node(other);
      if (!graph_.is_live(other) || !node.is("Cast")) continue;
      if (static_cast<DType>(node.get_int("to", 0)) != DType::kInt32) continue;
      ValueId codes_zero = node.output(0);
      graph_.remove_node(other);
      replace_quantizer(id, x, {cast.output(0), scale, codes_zero});
      return true;
    }
    return false;
  }

  void replace_quantizer(NodeId cast, ValueId x, const Codes& codes) {
    Node rows;
    rows.op_type = "QuantizeRows";
    rows.domain = "ai.fewbit";
    rows.opset = 1;
    rows.name = graph_.node(cast).name;
    rows.attributes["symmetric"] = static_cast<int64_t>(codes.zero == kNone ? 1 : 0);
    rows.inputs = {x};
    rows.outputs = {codes.codes, codes.scale};
    if (codes.zero != kNone) rows.outputs.push_back(codes.zero);
    graph_.remove_node(graph_.value(codes.scale).producer);
    graph_.remove_node(cast);
    graph_.add_node(std::move(rows));
  }

  std::optional<Codes> codes_of(ValueId a) const {
    if (a == kNone || graph_.value(a).producer == kNone) return std::nullopt;
    const Node& node = graph_.node(graph_.value(a).producer);
    bool known = node.is("DynamicQuantizeLinear") || node.is("QuantizeRows", "ai.fewbit");
    if (!known || node.output(0) != a) return std::nullopt;
    return Codes{a, node.output(1), node.output(2)};
  }

  // A constant matrix of 8-bit codes and its constant zero-point, if there is one.
  bool is_weight(ValueId b, ValueId zero) const {
    const Tensor* w = graph_.constant(b);
    if (w == nullptr || w->rank() != 2 || bits_of(w->type()) != 8) return false;
    if (w->type() != DType::kInt8 && w->type() != DType::kUint8) return false;
    if (zero == kNone) return true;
    const Tensor* z = graph_.constant(zero);
    return z != nullptr && z->type() == w->type() && fits_columns(*z, w->dim(1));
  }
  static bool fits_columns(const Tensor& t, int64_t n) {
    return t.elements() == 1 || (t.rank() == 1 && t.elements() == n);
  }
  bool is_column_scale(ValueId v, ValueId b) const {
    const Tensor* s = graph_.constant(v);
    return s != nullptr && s->type() == DType::kFloat32 &&
           fits_columns(*s, graph_.constant(b)->dim(1));
  }

  // The sum of (code - zero) of each column, as the asymmetric correction must have it.
  bool are_column_sums(ValueId v, ValueId b, ValueId b_zero) const {
    const Tensor* sums = graph_.constant(v);
    const Tensor& w = *graph_.constant(b);
    const Tensor* zero = graph_.constant(b_zero);
    const int64_t n = w.dim(1);
    if (sums == nullptr || sums->type() != DType::kInt32 || sums->elements() != n) return false;
    auto code = [](const Tensor& t, int64_t i) -> int64_t {
      return t.type() == DType::kInt8 ? t.data<int8_t>()[i] : t.data<uint8_t>()[i];
    };
    for (int64_t c = 0; c < n; ++c) {
      int64_t sum = 0;
      int64_t z = zero == nullptr ? 0 : code(*zero, zero->elements() == 1 ? 0 : c);
      for (int64_t r = 0; r < w.dim(0); ++r) sum += code(w, r * n + c) - z;
      if (sums->data<int32_t>()[c] != sum) return false;
    }
    return true;
  }

  bool fuse_product(NodeId id) {
    const Node product = graph_.node(id);
    auto x = codes_of(product.input(0));
    ValueId b = product.input(1);
    ValueId b_zero = product.input(3);
    if (!x || !is_weight(b, b_zero)) return false;
    const bool rows = producer(x->codes, "DynamicQuantizeLinear") == nullptr;
    ValueId sums = product.output(0);
    if (product.input(2) != (rows ? kNone : x->zero)) return false;
    if (rows && x->zero != kNone) {
      NodeId sub = reader(sums, "Sub");
      if (sub == kNone || graph_.node(sub).input(0) != sums) return false;
      ValueId column_sums =
          beside(graph_.node(sub).input(1), "Mul", [&](ValueId v) { return v == x->zero; });
      if (column_sums == kNone || !are_column_sums(column_sums, b, b_zero)) return false;
      sums = graph_.node(sub).output(0);
    }
    NodeId cast = reader(sums, "Cast");
    if (cast == kNone ||
        static_cast<DType>(graph_.node(cast).get_int("to", 0)) != DType::kFloat32) {
      return false;
    }
    ValueId b_scale = kNone;
    NodeId last = rows ? scaled_rows(graph_.node(cast).output(0), *x, b, b_scale)
                       : scaled(graph_.node(cast).output(0), *x, b, b_scale);
    if (last == kNone) return false;
    replace(last, product.name, {x->codes, x->scale, x->zero, b, b_scale, b_zero, kNone});
    return true;
  }

  // Mul(real, Mul(x_scale, w_scale)): the node, and the weight's scale.
  NodeId scaled(ValueId real, const Codes& x, ValueId b, ValueId& b_scale) const {
    NodeId mul = reader(real, "Mul");
    if (mul == kNone) return kNone;
    ValueId factor = other_input(mul, real);
    b_scale = beside(factor, "Mul", [&](ValueId v) { return v == x.scale; });
    return b_scale != kNone && is_column_scale(b_scale, b) ? mul : kNone;
  }
  // Mul(Mul(real, x_scale), w_scale).
  NodeId scaled_rows(ValueId real, const Codes& x, ValueId b, ValueId& b_scale) const {
    NodeId first = reader(real, "Mul");
    if (first == kNone || other_input(first, real) != x.scale) return kNone;
    ValueId half = graph_.node(first).output(0);
    NodeId mul = reader(half, "Mul");
    if (mul == kNone) return kNone;
    b_scale = other_input(mul, half);
    return is_column_scale(b_scale, b) ? mul : kNone;
  }
  ValueId other_input(NodeId id, ValueId v) const {
    const Node& node = graph_.node(id);
    return node.input(0) == v ? node.input(1) : node.input(0);
  }

  // A, B, a_scale, b_scale, a_zero, b_zero, bias
  bool fuse_to_float(NodeId id) {
    const Node node = graph_.node(id);
    auto x = codes_of(node.input(0));
    if (!x || !producer(x->codes, "DynamicQuantizeLinear")) return false;
    if (node.input(2) != x->scale || node.input(4) != x->zero) return false;
    if (!is_weight(node.input(1), node.input(5)) ||
        !is_column_scale(node.input(3), node.input(1))) {
      return false;
    }
    if (!is_bias(node.input(6), node.input(1))) return false;
    replace(
        id, node.name,
        {x->codes, x->scale, x->zero, node.input(1), node.input(3), node.input(5), node.input(6)});
    return true;
  }

  // A, B, b_scale, b_zero, bias
  bool fuse_whole(NodeId id) {
    const Node node = graph_.node(id);
    if (!is_weight(node.input(1), node.input(3)) ||
        !is_column_scale(node.input(2), node.input(1)) || !is_bias(node.input(4), node.input(1)) ||
        !is_float(node.input(0))) {
      return false;
    }
    const std::string stem = graph_.value(node.input(0)).name;
    auto fresh = [&](const char* what, DType type) {
      return graph_.add_value(graph_.unique_name(stem + what), ValueType::tensor(type));
    };
    Node quantizer;
    quantizer.op_type = "DynamicQuantizeLinear";
    quantizer.opset = 11;
    quantizer.name = node.name;
    quantizer.inputs = {node.input(0)};
    quantizer.outputs = {fresh("_quantized", DType::kUint8), fresh("_scale", DType::kFloat32),
                         fresh("_zero_point", DType::kUint8)};
    const std::vector<ValueId> x = quantizer.outputs;
    graph_.add_node(std::move(quantizer));
    replace(id, node.name,
            {x[0], x[1], x[2], node.input(1), node.input(2), node.input(3), node.input(4)});
    return true;
  }

  bool is_bias(ValueId bias, ValueId b) const {
    if (bias == kNone) return true;
    const Tensor* t = graph_.constant(bias);
    return t != nullptr && t->type() == DType::kFloat32 && t->rank() == 1 &&
           t->elements() == graph_.constant(b)->dim(1);
  }

  // Puts the fused product in the place of `last`, and of the addition of a bias behind it.
  void replace(NodeId last, const std::string& name, std::vector<ValueId> inputs) {
    ValueId result = graph_.node(last).output(0);
    graph_.remove_node(last);
    if (inputs[6] == kNone && static_cast<size_t>(result) < uses_.consumers.size()) {
      NodeId add = reader(result, "Add");
      ValueId bias = add == kNone ? kNone : other_input(add, result);
      if (bias != kNone && is_bias(bias, inputs[3])) {
        inputs[6] = bias;
        result = graph_.node(add).output(0);
        graph_.remove_node(add);
      }
    }
    while (inputs.back() == kNone) inputs.pop_back();
    Node fused;
    fused.op_type = "QDynamicMatMul";
    fused.domain = "ai.fewbit";
    fused.opset = 1;
    fused.name = name;
    fused.inputs = std::move(inputs);
    fused.outputs = {result};
    graph_.add_node(std::move(fused));
  }

  Graph& graph_;
  const RewriteContext& context_;
  UseMap uses_;
};

}  // namespace

Result<int> fuse_dynamic(Graph& graph, const RewriteContext& context) {
  int fused = DynamicFuser(graph, context).run();
  if (fused > 0) FEWBIT_TRY(sort_and_sweep(graph, context));
  return fused;
}

}  // namespace fewbit
