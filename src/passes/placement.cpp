#include "passes/placement.h"

#include <algorithm>

#include "passes/quantize_dynamic.h"
#include "runtime/qdq/patterns.h"
#include "runtime/qdq/qdq.h"

namespace fewbit {
namespace {

class Placer {
 public:
  Placer(const Graph& graph, const QuantScheme& scheme)
      : graph_(graph), scheme_(scheme), uses_(graph) {}

  Placement run() {
    for (NodeId id : graph_.order()) plan_weighted(id);
    if (scheme_.activations == Activations::kStatic) {
      for (NodeId id : graph_.order()) plan_follower(id);
      drop_useless_copies();
      share_concat_inputs();
    }
    for (NodeId id : graph_.order()) list(id);
    return std::move(placement_);
  }

 private:
  bool is_float(ValueId v) const {
    return v != kNone && graph_.value(v).type.elem == DType::kFloat32;
  }
  bool is_marked(ValueId v) const { return placement_.quantized.count(v) != 0; }
  void mark(ValueId v, ValueId source) { placement_.quantized.emplace(v, source); }

  // The value behind the Relu and Clip nodes that fuse with the producer of `v`.
  ValueId behind_activations(ValueId v) {
    std::vector<NodeId> absorbed;
    for (;;) {
      NodeId next = uses_.single_consumer(v);
      if (next == kNone || !clamp_bounds(graph_, graph_.node(next)) ||
          graph_.node(next).input(0) != v) {
        break;
      }
      absorbed.push_back(next);
      v = graph_.node(next).output(0);
    }
    if (!absorbed.empty()) placement_.absorbed[v] = absorbed;
    for (NodeId a : absorbed) state_[a] = {true, "fused with the operator before it"};
    return v;
  }

  // Why a weighted node cannot compute on integers; empty if it can.
  std::string weighted_obstacle(const Node& node) const {
    if (scheme_.float_layers.count(layer_name(graph_, node)) != 0)
      return "left in float by the recipe";
    const Tensor* w = graph_.constant(node.input(1));
    if (!is_float(node.input(0))) return "its input is not float32";
    const bool dynamic = scheme_.activations == Activations::kDynamic;
    if (dynamic && node.is("Conv")) return "dynamic quantization covers MatMul and Gemm";
    if (node.is("Conv")) {
      if (w == nullptr) return "its weight is not constant";
      if (w->type() != DType::kFloat32) return fmt::format("its weight is {}", name_of(w->type()));
      if (w->rank() != 3 && w->rank() != 4) {
        return fmt::format("{}-D convolution has no integer kernel", w->rank() - 2);
      }
      if (node.input(2) != kNone && graph_.constant(node.input(2)) == nullptr) {
        return "its bias is not constant";
      }
      return "";
    }
    if (w != nullptr && w->type() != DType::kFloat32) return "its weight is not float32";
    if (w != nullptr && w->rank() != 2) return "its weight is no matrix";
    if (node.is("Gemm")) {
      if (w == nullptr) return "its weight is not constant";
      if (node.get_float("alpha", 1) != 1 || node.get_float("beta", 1) != 1 ||
          node.get_int("transA", 0) != 0) {
        return "alpha, beta or transA is set";
      }
      const Tensor* c = graph_.constant(node.input(2));
      int64_t n = w->dim(node.get_int("transB", 0) != 0 ? 0 : 1);
      // One number for each row of the output, [M, 1], is no bias of channels, even if M = n.
      if (node.input(2) != kNone &&
          (c == nullptr || c->rank() == 0 || c->elements() != n || c->dims().back() != n)) {
        return "its bias is no constant vector";
      }
    }
    if (w == nullptr && scheme_.activations != Activations::kStatic) {
      return "a product of two activations";
    }
    if (dynamic && w->dim(node.get_int("transB", 0) != 0 ? 1 : 0) > kMaxDynamicDepth) {
      return "its sums could overflow int32";
    }
    if (w == nullptr && !is_float(node.input(1))) return "its second input is not float32";
    return "";
  }

  void plan_weighted(NodeId id) {
    const Node& node = graph_.node(id);
    const QdqRow* row = find_qdq(node);
    if (row == nullptr || row->role != QdqRole::kWeighted) return;
    std::string obstacle = weighted_obstacle(node);
    state_[id] = {obstacle.empty(), obstacle};
    if (!obstacle.empty() || scheme_.activations != Activations::kStatic) return;
    mark(node.input(0), node.input(0));
    if (graph_.constant(node.input(1)) == nullptr) mark(node.input(1), node.input(1));
    // Convolutions need codes behind them to fuse; products can give floats.
    if (node.is("Conv")) {
      ValueId out = behind_activations(node.output(0));
      mark(out, out);
    }
  }

  // min(x, constant), as equalization writes it.
  bool is_bound(const Node& node) const {
    return node.inputs.size() == 2 && graph_.constant(node.input(1)) != nullptr;
  }

  std::string follower_obstacle(const Node& node, const QdqRow& row) const {
    if (scheme_.float_layers.count(layer_name(graph_, node)) != 0)
      return "left in float by the recipe";
    size_t activations = row.role == QdqRole::kBinary     ? 2
                         : row.role == QdqRole::kVariadic ? node.inputs.size()
                                                          : 1;
    for (size_t i = 0; i < activations; ++i) {
      if (graph_.constant(node.input(i)) != nullptr) return "an operand is constant";
      if (!is_float(node.input(i))) return "its input is not float32";
      if (!is_marked(node.input(i))) return "its input has no codes";
    }
    for (size_t i = activations; i < node.inputs.size() && row.role != QdqRole::kSameScale; ++i) {
      if (node.inputs[i] != kNone && graph_.constant(node.inputs[i]) == nullptr) {
        return "a parameter is not constant";
      }
    }
    for (size_t i = 1; i < node.outputs.size(); ++i) {
      if (node.outputs[i] != kNone && row.op_type != "Split") return "more than one output is used";
    }
    if (node.is("Pad") && !pads_with_zeros(graph_, node))
      return "it pads with something else than 0";
    if (row.role == QdqRole::kBound && !is_bound(node)) return "its bound is not constant";
    // Its input would get codes of exponentials' arguments: the probabilities suffer.
    if (node.is("Softmax")) return "kept in float: codes of its input cost accuracy";
    return "";
  }

  void plan_follower(NodeId id) {
    const Node& node = graph_.node(id);
    const QdqRow* row = find_qdq(node);
    if (row == nullptr || row->role == QdqRole::kWeighted || state_.count(id) != 0) return;
    std::string obstacle = follower_obstacle(node, *row);
    state_[id] = {obstacle.empty(), obstacle};
    if (!obstacle.empty()) return;
    if (row->role == QdqRole::kSameScale) {
      for (ValueId out : node.outputs) {
        if (out == kNone) continue;
        ValueId source = node.input(0);
        // An own quantizer asked for by a reader gives way: the codes are the same.
        placement_.quantized[out] = source;
      }
      return;
    }
    if (row->role == QdqRole::kBound) {
      // What is above the largest bound is cut anyway: the codes cover what the bounded value
      // needs.
      ValueId in = node.input(0);
      if (placement_.quantized.at(in) == in) retarget(in, node.output(0));
      placement_.quantized[node.output(0)] = node.output(0);
      return;
    }
    ValueId out = row->role == QdqRole::kActivation || row->role == QdqRole::kTable
                      ? node.output(0)
                      : behind_activations(node.output(0));
    mark(out, out);
  }

  bool has_integer_reader(ValueId v) const {
    for (NodeId reader : uses_.consumers[static_cast<size_t>(v)]) {
      auto it = state_.find(reader);
      if (it == state_.end() || !it->second.integer) continue;
      const QdqRow* row = find_qdq(graph_.node(reader));
      if (row == nullptr || row->role != QdqRole::kSameScale) return true;
      for (ValueId out : graph_.node(reader).outputs) {
        if (out != kNone && is_marked(out)) return true;
      }
    }
    return false;
  }

  // A Reshape whose codes only a float reader would use needs none.
  void drop_useless_copies() {
    const std::vector<NodeId>& order = graph_.order();
    for (auto it = order.rbegin(); it != order.rend(); ++it) {
      const Node& node = graph_.node(*it);
      const QdqRow* row = find_qdq(node);
      auto state = state_.find(*it);
      if (row == nullptr || row->role != QdqRole::kSameScale || state == state_.end() ||
          !state->second.integer) {
        continue;
      }
      bool needed = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId out) {
        return out != kNone && has_integer_reader(out);
      });
      if (needed) continue;
      for (ValueId out : node.outputs) placement_.quantized.erase(out);
      state->second = {false, "nothing behind it reads codes"};
    }
    // Chains: a copy's parameters are those of the first value with its own.
    for (auto& [value, source] : placement_.quantized) {
      while (placement_.quantized.at(source) != source) source = placement_.quantized.at(source);
    }
  }

  // Inputs that only a Concat reads take its parameters: codes are copied, not requantized.
  void share_concat_inputs() {
    for (NodeId id : graph_.order()) {
      const Node& node = graph_.node(id);
      auto state = state_.find(id);
      if (!node.is("Concat") || state == state_.end() || !state->second.integer) continue;
      ValueId out = node.output(0);
      if (!is_marked(out)) out = quantized_behind(node.output(0));
      if (out == kNone) continue;
      for (ValueId in : node.inputs) {
        if (uses_.single_consumer(in) == id && placement_.quantized.at(in) == in) {
          retarget(in, placement_.quantized.at(out));
        }
      }
    }
  }
  ValueId quantized_behind(ValueId v) const {
    for (const auto& [value, absorbed] : placement_.absorbed) {
      if (!absorbed.empty() && graph_.node(absorbed.front()).input(0) == v) return value;
    }
    return kNone;
  }
  void retarget(ValueId from, ValueId to) {
    for (auto& [value, source] : placement_.quantized) {
      if (source == from) source = to;
    }
  }

  // Nodes that do arithmetic on floats are worth a line; shape arithmetic is not.
  void list(NodeId id) {
    const Node& node = graph_.node(id);
    bool floats = std::any_of(node.outputs.begin(), node.outputs.end(),
                              [&](ValueId v) { return is_float(v); });
    if (!floats) return;
    LayerPlacement layer;
    layer.node = id;
    layer.name = layer_name(graph_, node);
    layer.op_type = node.op_type;
    const QdqRow* row = find_qdq(node);
    auto state = state_.find(id);
    if (state != state_.end()) {
      layer.integer = state->second.integer;
      layer.reason = state->second.reason;
      layer.weighted = layer.integer && row != nullptr && row->role == QdqRole::kWeighted &&
                       graph_.constant(node.input(1)) != nullptr;
    } else if (row == nullptr) {
      layer.reason = "no integer form of this operator";
    } else {
      layer.reason = scheme_.activations == Activations::kStatic ? "not reached"
                                                                 : "only weighted layers get codes";
    }
    placement_.layers.push_back(std::move(layer));
  }

  struct State {
    bool integer = false;
    std::string reason;
  };
  const Graph& graph_;
  const QuantScheme& scheme_;
  UseMap uses_;
  Placement placement_;
  std::map<NodeId, State> state_;
};

}  // namespace

std::string layer_name(const Graph& graph, const Node& node) {
  if (!node.name.empty()) return node.name;
  ValueId out = node.output(0);
  return out == kNone ? node.op_type : graph.value(out).name;
}

Placement place_quantizers(const Graph& graph, const QuantScheme& scheme) {
  return Placer(graph, scheme).run();
}

}  // namespace fewbit
