#pragma once
// What a network costs: multiply-accumulates and parameters, from static shapes.

#include <cstdint>
#include <vector>

#include "graph/graph.h"

namespace fewbit {

struct NodeCost {
  NodeId node = kNone;
  int64_t macs = 0;        ///< multiply-accumulates of one run; of a sub-graph, of one round of it
  int64_t parameters = 0;  ///< elements of the constants that this node is the first to read
  bool known = true;       ///< false: a shape that is needed is not static; macs is 0
};

struct GraphCost {
  std::vector<NodeCost> nodes;  ///< in the order of the graph
  int64_t macs = 0;
  int64_t parameters = 0;
  int unknown_nodes = 0;  ///< nodes whose macs are not known
};

/// Counts convolutions, matrix products, attention and recurrent layers; other operators do no
/// multiply-accumulates. Parameters are the elements of all constants that nodes read but those of
/// type int64, string and bool (shapes, indices, flags) and but the scales and zero points of
/// quantizing operators. Sums saturate at the largest int64.
GraphCost cost_of(const Graph& graph);

}  // namespace fewbit
