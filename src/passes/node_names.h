#pragma once
// Names of nodes in a graph that a pass added to.

#include "graph/graph.h"

namespace fewbit {

/// Gives nodes whose name an older node of this graph has (a smaller id) a name of their own:
/// consumers refuse two nodes of one name, and nodes that a pass makes are called like their
/// outputs, which is how some exporters call theirs. Nameless nodes stay so.
void make_node_names_unique(Graph& graph);

}  // namespace fewbit
