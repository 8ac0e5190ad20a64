#pragma once
// Where quantizers go: which nodes compute on integers, which values get codes, which share them.
//
// The table runtime/qdq/patterns.h says what fuses; a quantizer sits behind the whole fused group
// (convolution + bias + ReLU), never inside it. Whatever stays in float is listed with its reason.

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "passes/scheme.h"

namespace fewbit {

struct LayerPlacement {
  NodeId node = kNone;
  std::string name;  ///< the node's name, or its output's
  std::string op_type;
  bool integer = false;   ///< computes on codes
  bool weighted = false;  ///< has a weight that gets codes
  std::string reason;     ///< why not, or what is special; may be empty
};

struct Placement {
  std::vector<LayerPlacement> layers;  ///< every node that computes, in graph order
  /// Values that get a quantizer -> the value whose parameters they take (itself if its own).
  std::map<ValueId, ValueId> quantized;
  /// Activation nodes (Relu, Clip) behind a fused group: droppable where the codes cannot leave
  /// their range. Keyed by the quantized value.
  std::map<ValueId, std::vector<NodeId>> absorbed;
};

/// Needs inferred types. Static activations: everything; dynamic or float ones: only the weighted
/// layers are placed.
Placement place_quantizers(const Graph& graph, const QuantScheme& scheme);

/// The name a user knows a node by.
std::string layer_name(const Graph& graph, const Node& node);

}  // namespace fewbit
