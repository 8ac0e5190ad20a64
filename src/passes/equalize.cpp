#include "passes/equalize.h"

#include <algorithm>
#include <cmath>

#include "runtime/qdq/qdq.h"

namespace fewbit {
namespace {

struct Pair {
  NodeId first, second;
  NodeId activation = kNone;  // Relu, Clip or LeakyRelu between them, if any
  int64_t channels = 0;
  std::vector<float> scale;  // accumulated s_c
};

// Owned float copies of weights and biases while the sweeps run.
class Weights {
 public:
  explicit Weights(Graph& graph) : graph_(graph) {}

  Tensor& of(ValueId id) {
    auto it = copies_.find(id);
    if (it == copies_.end()) it = copies_.emplace(id, graph_.constant(id)->clone()).first;
    return it->second;
  }
  void store() {
    for (auto& [id, tensor] : copies_) {
      graph_.value(id).constant = std::make_shared<const Tensor>(std::move(tensor));
    }
  }

 private:
  Graph& graph_;
  std::map<ValueId, Tensor> copies_;
};

int64_t out_channels(const Graph& graph, const Node& node) {
  const Tensor* w = graph.constant(node.input(1));
  return node.is("Gemm") && node.get_int("transB", 0) == 0 ? w->dim(1) : w->dim(0);
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
  return fits && has_bias_per_channel(graph, node, out_channels(graph, node));
}

// Visits every weight as (output row, input channel, value).
template <typename Visit>
void for_each_weight(const Node& node, Tensor& w, Visit&& visit) {
  auto* data = w.data<float>();
  if (node.is("Gemm")) {
    bool transposed = node.get_int("transB", 0) != 0;
    for (int64_t i = 0; i < w.dim(0); ++i) {
      for (int64_t j = 0; j < w.dim(1); ++j) {
        visit(transposed ? i : j, transposed ? j : i, data[i * w.dim(1) + j]);
      }
    }
    return;
  }
  int64_t groups = node.get_int("group", 1);
  int64_t rows_per_group = w.dim(0) / groups;
  int64_t taps = w.elements() / std::max<int64_t>(w.dim(0) * w.dim(1), 1);
  for (int64_t o = 0; o < w.dim(0); ++o) {
    for (int64_t i = 0; i < w.dim(1); ++i) {
      int64_t channel = o / rows_per_group * w.dim(1) + i;
      for (int64_t t = 0; t < taps; ++t) visit(o, channel, data[(o * w.dim(1) + i) * taps + t]);
    }
  }
}

int64_t in_channels(const Graph& graph, const Node& node) {
  const Tensor* w = graph.constant(node.input(1));
  if (node.is("Gemm")) return w->dim(node.get_int("transB", 0) != 0 ? 1 : 0);
  return w->dim(1) * node.get_int("group", 1);
}

// Relu and LeakyRelu commute with positive scales; so does a Clip from 0, if its bound is scaled
// too.
bool is_homogeneous(const Graph& graph, const Node& node) {
  if (node.is("Relu") || node.is("LeakyRelu")) return true;
  auto bounds = clamp_bounds(graph, node);
  return bounds && bounds->first == 0 && bounds->second > 0;
}

std::vector<Pair> find_pairs(const Graph& graph) {
  std::vector<Pair> pairs;
  UseMap uses(graph);
  // A weight that two layers share cannot be scaled for one of them.
  auto exclusive = [&](const Node& node) {
    return uses.consumers[static_cast<size_t>(node.input(1))].size() == 1 &&
           (node.input(2) == kNone ||
            uses.consumers[static_cast<size_t>(node.input(2))].size() == 1);
  };
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (!has_float_weight(graph, node) || !exclusive(node)) continue;
    Pair pair{id, uses.single_consumer(node.output(0)), kNone, out_channels(graph, node), {}};
    if (pair.second == kNone) continue;
    if (is_homogeneous(graph, graph.node(pair.second))) {
      pair.activation = pair.second;
      pair.second = uses.single_consumer(graph.node(pair.activation).output(0));
      if (pair.second == kNone) continue;
    }
    const Node& second = graph.node(pair.second);
    ValueId between =
        pair.activation == kNone ? node.output(0) : graph.node(pair.activation).output(0);
    if (!has_float_weight(graph, second) || !exclusive(second) || second.input(0) != between ||
        in_channels(graph, second) != pair.channels) {
      continue;
    }
    pair.scale.assign(static_cast<size_t>(pair.channels), 1.0F);
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

// One step of one pair; returns the largest |log2| of the factors applied.
double equalize_pair(Graph& graph, Weights& weights, Pair& pair, const EqualizeOptions& options) {
  const Node& first = graph.node(pair.first);
  const Node& second = graph.node(pair.second);
  Tensor& w1 = weights.of(first.input(1));
  Tensor& w2 = weights.of(second.input(1));
  std::vector<float> r1(static_cast<size_t>(pair.channels), 0.0F);
  std::vector<float> r2 = r1;
  for_each_weight(first, w1, [&](int64_t row, int64_t, float w) {
    r1[static_cast<size_t>(row)] = std::max(r1[static_cast<size_t>(row)], std::abs(w));
  });
  for_each_weight(second, w2, [&](int64_t, int64_t channel, float w) {
    r2[static_cast<size_t>(channel)] = std::max(r2[static_cast<size_t>(channel)], std::abs(w));
  });
  float dead1 = *std::max_element(r1.begin(), r1.end()) * options.dead_share;
  float dead2 = *std::max_element(r2.begin(), r2.end()) * options.dead_share;
  std::vector<float> factor(r1.size(), 1.0F);
  double change = 0;
  for (size_t c = 0; c < r1.size(); ++c) {
    if (!(r1[c] > dead1) || !(r2[c] > dead2)) continue;
    float wanted = pair.scale[c] * std::sqrt(r1[c] / r2[c]);
    wanted = std::clamp(wanted, 1 / options.max_scale, options.max_scale);
    factor[c] = wanted / pair.scale[c];
    pair.scale[c] = wanted;
    change = std::max(change, static_cast<double>(std::abs(std::log2(factor[c]))));
  }
  for_each_weight(first, w1,
                  [&](int64_t row, int64_t, float& w) { w /= factor[static_cast<size_t>(row)]; });
  for_each_weight(second, w2,
                  [&](int64_t, int64_t ch, float& w) { w *= factor[static_cast<size_t>(ch)]; });
  if (first.input(2) != kNone) {
    Tensor& bias = weights.of(first.input(2));
    for (size_t c = 0; c < factor.size(); ++c) bias.data<float>()[c] /= factor[c];
  }
  return change;
}

// Largest magnitude that an input of a layer is taken to have when a channel is shown to be dead:
// far above what a trained network's activations reach.
constexpr double kInputBound = 1e3;

// Upper bound of channel c of the first layer before its activation, and its value if the weights
// were zero.
struct ChannelOutput {
  double bias, bound;
};
std::vector<ChannelOutput> channel_outputs(Graph& graph, Weights& weights, const Pair& pair) {
  const Node& first = graph.node(pair.first);
  std::vector<ChannelOutput> out(static_cast<size_t>(pair.channels), {0, 0});
  if (first.input(2) != kNone) {
    const Tensor& bias = weights.of(first.input(2));
    for (size_t c = 0; c < out.size(); ++c) out[c].bias = bias.data<float>()[c];
  }
  for (ChannelOutput& o : out) o.bound = o.bias;
  for_each_weight(first, weights.of(first.input(1)), [&](int64_t row, int64_t, float w) {
    out[static_cast<size_t>(row)].bound += std::abs(w) * kInputBound;
  });
  return out;
}

// Batch norm leaves channels whose weights are nearly zero and whose huge counterparts in the next
// layer would spoil its scale. Behind a rectifier a channel that is never positive gives zeros: its
// weights in the next layer meet nothing and become zero (exact). One that is a small positive
// constant v takes the scale that brings the next layer's weights to the median, as far as v
// allows.
void treat_dead_channels(Graph& graph, Weights& weights, Pair& pair,
                         const EqualizeOptions& options) {
  if (pair.activation == kNone || graph.node(pair.activation).is("LeakyRelu")) return;
  const Node& first = graph.node(pair.first);
  const Node& second = graph.node(pair.second);
  std::vector<float> r1(static_cast<size_t>(pair.channels), 0.0F);
  std::vector<float> r2 = r1;
  for_each_weight(first, weights.of(first.input(1)), [&](int64_t row, int64_t, float w) {
    r1[static_cast<size_t>(row)] = std::max(r1[static_cast<size_t>(row)], std::abs(w));
  });
  Tensor& w2 = weights.of(second.input(1));
  for_each_weight(second, w2, [&](int64_t, int64_t channel, float w) {
    r2[static_cast<size_t>(channel)] = std::max(r2[static_cast<size_t>(channel)], std::abs(w));
  });
  std::vector<float> sorted = r2;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<int64_t>(sorted.size() / 2),
                   sorted.end());
  float median = sorted[sorted.size() / 2];
  float dead = *std::max_element(r1.begin(), r1.end()) * options.dead_share;
  std::vector<ChannelOutput> outputs = channel_outputs(graph, weights, pair);
  std::vector<float> factor(r1.size(), 1.0F);
  for (size_t c = 0; c < r1.size(); ++c) {
    if (r1[c] > dead) continue;
    if (outputs[c].bound <= 0) {
      factor[c] = 0;
    } else if (r2[c] > median && median > 0) {
      auto value = static_cast<float>(outputs[c].bias);
      factor[c] = std::min(1.0F, std::max(median / r2[c], value));
      pair.scale[c] = factor[c];
    }
  }
  for_each_weight(second, w2,
                  [&](int64_t, int64_t ch, float& w) { w *= factor[static_cast<size_t>(ch)]; });
  for (float& f : factor) f = f == 0 ? 1 : f;
  for_each_weight(first, weights.of(first.input(1)),
                  [&](int64_t row, int64_t, float& w) { w /= factor[static_cast<size_t>(row)]; });
  if (first.input(2) != kNone) {
    Tensor& bias = weights.of(first.input(2));
    for (size_t c = 0; c < factor.size(); ++c) bias.data<float>()[c] /= factor[c];
  }
}

// Clip(0, b) becomes Relu and Min with b / s_c: the same function of the scaled channels.
void scale_clip(Graph& graph, const Pair& pair) {
  if (pair.activation == kNone || !graph.node(pair.activation).is("Clip")) return;
  if (std::all_of(pair.scale.begin(), pair.scale.end(), [](float s) { return s == 1; })) return;
  const Node clip = graph.node(pair.activation);
  float bound = clamp_bounds(graph, clip)->second;
  graph.remove_node(pair.activation);
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
  if (std::isinf(bound)) {
    graph.replace_uses(out, rectified);
    return;
  }
  Dims dims{1, pair.channels};
  int64_t rank = graph.node(pair.second).is("Gemm")
                     ? 2
                     : graph.constant(graph.node(pair.second).input(1))->rank();
  for (int64_t i = 2; i < rank; ++i) dims.push_back(1);
  Tensor bounds = Tensor::uninitialized(DType::kFloat32, dims);
  for (size_t c = 0; c < pair.scale.size(); ++c) bounds.data<float>()[c] = bound / pair.scale[c];
  Node min;
  min.op_type = "Min";
  min.opset = clip.opset;
  min.name = clip.name.empty() ? "" : clip.name + "_bound";
  min.inputs = {rectified, graph.add_constant(graph.unique_name(graph.value(out).name + "_bound"),
                                              std::move(bounds))};
  min.outputs = {out};
  graph.add_node(std::move(min));
}

}  // namespace

Result<int> equalize(Graph& graph, const EqualizeOptions& options) {
  std::vector<Pair> pairs = find_pairs(graph);
  Weights weights(graph);
  for (Pair& pair : pairs) treat_dead_channels(graph, weights, pair, options);
  constexpr double kConverged = 1e-3;
  for (int round = 0; round < options.max_rounds; ++round) {
    double change = 0;
    for (Pair& pair : pairs) {
      change = std::max(change, equalize_pair(graph, weights, pair, options));
    }
    if (change < kConverged) break;
  }
  weights.store();
  for (const Pair& pair : pairs) scale_clip(graph, pair);
  FEWBIT_TRY(graph.sort());
  return static_cast<int>(pairs.size());
}

}  // namespace fewbit
