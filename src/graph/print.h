#pragma once
// Graphs as text, for people.

#include <string>

#include "graph/graph.h"

namespace fewbit {

/// One line for each input, constant, node and output, for example
///   %y: float32[1, 64, 56, 56] = Conv(%x, %w, %b) {strides: [1, 1]} # name
/// Constants are shown by type and shape, small ones by value; sub-graphs are indented under their
/// node; `_` stands for an input or output that is left out.
std::string print(const Graph& graph);

}  // namespace fewbit
