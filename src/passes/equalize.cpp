#include "passes/equalize.h"

#include <algorithm>
#include <cmath>

#include "passes/layer_pairs.h"
#include "runtime/qdq/qdq.h"

namespace fewbit {
namespace {

struct Pair {
  NodeId first, second;
  NodeId activation = kNone;  // Relu, Clip or LeakyRelu between them, if any
  int64_t channels = 0;
  std::vector<float> scale;  // accumulated s_c
};

// Relu and LeakyRelu commute with positive scales; so does a Clip from 0, if its bound is scaled
// too.
bool is_homogeneous(const Graph& graph, const Node& node) {
  if (node.is("Relu") || node.is("LeakyRelu")) return true;
  auto bounds = clamp_bounds(graph, node);
  return bounds && bounds->first == 0 && bounds->second > 0;
}

std::vector<Pair> find_pairs(const Graph& graph) {
  std::vector<Pair> pairs;
  for (const LayerPair& p : find_layer_pairs(graph, is_homogeneous)) {
    if (p.between.size() > 1) continue;
    NodeId activation = p.between.empty() ? kNone : p.between.front();
    pairs.push_back({p.first, p.second, activation, p.channels,
                     std::vector<float>(static_cast<size_t>(p.channels), 1.0F)});
  }
  return pairs;
}

// One step of one pair; returns the largest |log2| of the factors applied.
double equalize_pair(Graph& graph, WeightCopies& weights, Pair& pair,
                     const EqualizeOptions& options) {
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
std::vector<ChannelOutput> channel_outputs(Graph& graph, WeightCopies& weights, const Pair& pair) {
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
void treat_dead_channels(Graph& graph, WeightCopies& weights, Pair& pair,
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

// The bound of Clip(0, b) becomes b / s_c: the same function of the scaled channels.
void scale_clip(Graph& graph, const Pair& pair) {
  if (pair.activation == kNone || !graph.node(pair.activation).is("Clip")) return;
  if (std::all_of(pair.scale.begin(), pair.scale.end(), [](float s) { return s == 1; })) return;
  std::vector<float> bounds(pair.scale.size(),
                            clamp_bounds(graph, graph.node(pair.activation))->second);
  for (size_t c = 0; c < bounds.size(); ++c) bounds[c] /= pair.scale[c];
  const Node& second = graph.node(pair.second);
  bound_each_channel(graph, pair.activation, bounds,
                     second.is("Gemm") ? 2 : graph.constant(second.input(1))->rank());
}

}  // namespace

Result<int> equalize(Graph& graph, const EqualizeOptions& options) {
  std::vector<Pair> pairs = find_pairs(graph);
  WeightCopies weights(graph);
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
