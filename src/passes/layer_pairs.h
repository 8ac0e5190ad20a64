#pragma once
// Two weighted layers in a row, with elementwise functions between them: what cross-layer
// equalization and bias absorption move numbers across.

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "graph/graph.h"

namespace fewbit {

/// `first` -> `between`, in order -> `second`. Both layers are Conv or Gemm with constant float32
/// weights and biases that nothing else reads; every value between them has one reader.
struct LayerPair {
  NodeId first = kNone;
  std::vector<NodeId> between;
  NodeId second = kNone;
  int64_t channels = 0;  ///< output channels of the first, input channels of the second
};

/// All pairs, in graph order, whose nodes in between satisfy `passes`.
std::vector<LayerPair> find_layer_pairs(const Graph& graph,
                                        bool (*passes)(const Graph& graph, const Node& node));

/// Of a Conv or Gemm with a constant weight.
int64_t output_channels(const Graph& graph, const Node& node);

/// Owned float copies of weights and biases while a pass changes them.
class WeightCopies {
 public:
  explicit WeightCopies(Graph& graph) : graph_(graph) {}

  /// The copy of the constant `id`.
  Tensor& of(ValueId id);
  /// The copy of the bias of `node` [channels], or nullptr if it has none.
  float* bias(const Node& node);
  /// Writes the copies back into the graph.
  void store();

 private:
  Graph& graph_;
  std::map<ValueId, Tensor> copies_;
};

/// Clip(0, b) becomes Relu and Min with the bound `bounds[c]` for each channel; without Min if all
/// of them are infinite. `rank`: of the value that is clipped, channels on its second axis. Call
/// graph.sort() afterwards.
void bound_each_channel(Graph& graph, NodeId clip, const std::vector<float>& bounds, int64_t rank);

/// Visits every weight of a Conv or Gemm as (output channel, input channel, value).
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

}  // namespace fewbit
