#include "passes/layer_pairs.h"

#include <algorithm>
#include <cmath>

namespace fewbit {

int64_t output_channels(const Graph& graph, const Node& node) {
  const Tensor* w = graph.constant(node.input(1));
  return node.is("Gemm") && node.get_int("transB", 0) == 0 ? w->dim(1) : w->dim(0);
}

namespace {

int64_t in_channels(const Graph& graph, const Node& node) {
  const Tensor* w = graph.constant(node.input(1));
  if (node.is("Gemm")) return w->dim(node.get_int("transB", 0) != 0 ? 1 : 0);
  return w->dim(1) * node.get_int("group", 1);
}

// A Gemm's bias may also be one number, or one for each row of its input.
bool has_bias_per_channel(const Graph& graph, const Node& node, int64_t channels) {
  if (node.input(2) == kNone) return true;
  const Tensor* b = graph.constant(node.input(2));
  return b != nullptr && b->type() == DType::kFloat32 && b->elements() == channels &&
         b->rank() > 0 && b->dims().back() == channels;
}

bool has_float_weight(const Graph& graph, const Node& node) {
  const Tensor* w = graph.constant(node.input(1));
  if (w == nullptr || w->type() != DType::kFloat32) return false;
  bool fits = node.is("Conv")
                  ? w->rank() >= 3
                  : node.is("Gemm") && w->rank() == 2 && node.get_int("transA", 0) == 0 &&
                        node.get_float("alpha", 1) == 1 && node.get_float("beta", 1) == 1;
  return fits && has_bias_per_channel(graph, node, output_channels(graph, node));
}

}  // namespace

std::vector<LayerPair> find_layer_pairs(const Graph& graph,
                                        bool (*passes)(const Graph& graph, const Node& node)) {
  std::vector<LayerPair> pairs;
  UseMap uses(graph);
  // A weight that two layers share cannot be changed for one of them.
  auto is_layer = [&](const Node& node) {
    auto read_once = [&](ValueId id) {
      return id == kNone || uses.consumers[static_cast<size_t>(id)].size() == 1;
    };
    return has_float_weight(graph, node) && read_once(node.input(1)) && read_once(node.input(2));
  };
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (!is_layer(node)) continue;
    LayerPair pair{id, {}, uses.single_consumer(node.output(0)), output_channels(graph, node)};
    ValueId value = node.output(0);
    while (pair.second != kNone && passes(graph, graph.node(pair.second)) &&
           graph.node(pair.second).input(0) == value) {
      pair.between.push_back(pair.second);
      value = graph.node(pair.second).output(0);
      pair.second = uses.single_consumer(value);
    }
    if (pair.second == kNone) continue;
    const Node& second = graph.node(pair.second);
    if (!is_layer(second) || second.input(0) != value ||
        in_channels(graph, second) != pair.channels) {
      continue;
    }
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

Tensor& WeightCopies::of(ValueId id) {
  auto it = copies_.find(id);
  if (it == copies_.end()) it = copies_.emplace(id, graph_.constant(id)->clone()).first;
  return it->second;
}

float* WeightCopies::bias(const Node& node) {
  return node.input(2) == kNone ? nullptr : of(node.input(2)).data<float>();
}

void WeightCopies::store() {
  for (auto& [id, tensor] : copies_) {
    graph_.value(id).constant = std::make_shared<const Tensor>(std::move(tensor));
  }
  copies_.clear();
}

void bound_each_channel(Graph& graph, NodeId clip_id, const std::vector<float>& bounds,
                        int64_t rank) {
  const Node clip = graph.node(clip_id);
  graph.remove_node(clip_id);
  ValueId out = clip.output(0);
  const ValueType type = graph.value(out).type;
  ValueId rectified = graph.add_value(graph.unique_name(graph.value(out).name + "_relu"), type);
  Node relu;
  relu.op_type = "Relu";
  relu.opset = clip.opset;
  relu.name = clip.name.empty() ? "" : clip.name + "_relu";
  relu.inputs = {clip.input(0)};
  relu.outputs = {rectified};
  graph.add_node(std::move(relu));
  if (std::all_of(bounds.begin(), bounds.end(), [](float b) { return std::isinf(b); })) {
    graph.replace_uses(out, rectified);
    return;
  }
  Dims dims{1, static_cast<int64_t>(bounds.size())};
  dims.resize(static_cast<size_t>(rank), 1);
  Node min;
  min.op_type = "Min";
  min.opset = clip.opset;
  min.name = clip.name.empty() ? "" : clip.name + "_bound";
  min.inputs = {rectified, graph.add_constant(graph.unique_name(graph.value(out).name + "_bound"),
                                              Tensor::from(dims, bounds))};
  min.outputs = {out};
  graph.add_node(std::move(min));
}

}  // namespace fewbit
