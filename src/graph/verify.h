#pragma once
// The verifier: what must hold of every model before anything else looks at it.

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit {

/// Checks the graph and its sub-graphs: every value is defined once and before it is used, names
/// are not empty, known operators have the right number of inputs and outputs and attributes of the
/// right type, constants are what their types say. Operators that are not known are left to the
/// executor. Errors name the node.
Status verify(const Model& model);

}  // namespace fewbit
