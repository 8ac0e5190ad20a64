// Layer normalisation spelled out in primitive operators, as exporters before opset 17 write it:
//   d = x - ReduceMean(x);  y = d / Sqrt(ReduceMean(d^2) + eps) [* gamma] [+ beta]
// becomes one LayerNormalization over the last axis.

#include "runtime/rewrite/rewrite.h"

namespace fewbit {
namespace {

class Matcher {
 public:
  Matcher(Graph& graph, const RewriteContext& context)
      : graph_(graph), context_(context), uses_(graph) {}

  bool fuse(NodeId div_id) {
    const Node div = graph_.node(div_id);
    ValueId x = kNone;
    float epsilon = 0;
    if (!match(div, x, epsilon)) return false;
    auto shape = graph_.value(x).type.shape;
    if (!shape || shape->empty() || !shape->back().known()) return false;
    int64_t width = shape->back().value;
    ValueId result = div.output(0);
    ValueId gamma = kNone;
    ValueId beta = kNone;
    std::vector<NodeId> absorbed;
    absorb(result, "Mul", width, gamma, absorbed);
    if (gamma != kNone) absorb(result, "Add", width, beta, absorbed);
    if (gamma == kNone) {
      gamma = graph_.add_constant(
          graph_.unique_name("layer_norm_scale"),
          Tensor::from({width}, std::vector<float>(static_cast<size_t>(width), 1.0F)));
    }
    Node norm;
    norm.op_type = "LayerNormalization";
    norm.opset = 17;
    norm.name = div.name;
    norm.attributes["axis"] = int64_t{-1};
    norm.attributes["epsilon"] = epsilon;
    norm.inputs = {x, gamma};
    if (beta != kNone) norm.inputs.push_back(beta);
    norm.outputs = {result};
    graph_.remove_node(div_id);
    for (NodeId id : absorbed) graph_.remove_node(id);
    graph_.add_node(std::move(norm));
    return true;
  }

 private:
  const Node* producer(ValueId v, std::string_view op) const {
    if (v == kNone || graph_.value(v).producer == kNone) return nullptr;
    const Node& node = graph_.node(graph_.value(v).producer);
    return node.is(op) ? &node : nullptr;
  }

  std::optional<float> scalar(ValueId v) const {
    const Tensor* t = graph_.constant(v);
    if (t == nullptr || t->elements() != 1) return std::nullopt;
    if (t->type() == DType::kFloat32) return t->data<float>()[0];
    return std::nullopt;
  }

  // The input of a ReduceMean over the last axis that keeps it.
  ValueId mean_of(ValueId v) const {
    const Node* mean = producer(v, "ReduceMean");
    if (mean == nullptr || mean->get_int("keepdims", 1) != 1) return kNone;
    std::vector<int64_t> axes = mean->get_ints("axes");
    if (const Tensor* t = graph_.constant(mean->input(1)); t != nullptr) {
      if (t->type() != DType::kInt64) return kNone;
      axes.assign(t->span<int64_t>().begin(), t->span<int64_t>().end());
    }
    const auto& shape = graph_.value(mean->input(0)).type.shape;
    if (axes.size() != 1 || !shape) return kNone;
    bool last = axes[0] == -1 || axes[0] == static_cast<int64_t>(shape->size()) - 1;
    return last ? mean->input(0) : kNone;
  }

  bool match(const Node& div, ValueId& x, float& epsilon) const {
    ValueId centred = div.input(0);
    const Node* sub = producer(centred, "Sub");
    const Node* root = producer(div.input(1), "Sqrt");
    if (sub == nullptr || root == nullptr) return false;
    x = sub->input(0);
    if (mean_of(sub->input(1)) != x || x == kNone) return false;
    const Node* sum = producer(root->input(0), "Add");
    if (sum == nullptr) return false;
    std::optional<float> eps = scalar(sum->input(1));
    ValueId variance = sum->input(0);
    if (!eps) {
      eps = scalar(sum->input(0));
      variance = sum->input(1);
    }
    if (!eps) return false;
    epsilon = *eps;
    ValueId square = mean_of(variance);
    if (square == kNone) return false;
    if (const Node* pow = producer(square, "Pow")) {
      return pow->input(0) == centred && scalar(pow->input(1)) == 2.0F;
    }
    const Node* mul = producer(square, "Mul");
    return mul != nullptr && mul->input(0) == centred && mul->input(1) == centred;
  }

  // value <op> constant [width], if it is the only reader.
  void absorb(ValueId& value, std::string_view op, int64_t width, ValueId& operand,
              std::vector<NodeId>& absorbed) const {
    if (context_.keeps(graph_, value)) return;
    NodeId reader = uses_.single_consumer(value);
    if (reader == kNone || !graph_.node(reader).is(op)) return;
    const Node& node = graph_.node(reader);
    ValueId other = node.input(0) == value ? node.input(1) : node.input(0);
    const Tensor* t = graph_.constant(other);
    if (t == nullptr || t->rank() != 1 || t->dim(0) != width || t->type() != DType::kFloat32)
      return;
    operand = other;
    absorbed.push_back(reader);
    value = node.output(0);
  }

  Graph& graph_;
  const RewriteContext& context_;
  UseMap uses_;
};

}  // namespace

Result<int> fuse_layer_norm(Graph& graph, const RewriteContext& context) {
  int fused = 0;
  const std::vector<NodeId> order = graph.order();
  Matcher matcher(graph, context);
  for (NodeId id : order) {
    if (graph.is_live(id) && graph.node(id).is("Div")) fused += matcher.fuse(id) ? 1 : 0;
  }
  if (fused > 0) FEWBIT_TRY(sort_and_sweep(graph, context));
  return fused;
}

}  // namespace fewbit
