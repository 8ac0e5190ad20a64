#pragma once
// Runs nodes with their plain operators, without a plan: sub-graphs of If, Loop and Scan, and
// constant folding.

#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "runtime/op.h"

namespace fewbit {

/// Values by name that a sub-graph may capture; the innermost scope first.
struct Scope {
  const Scope* parent = nullptr;
  std::unordered_map<std::string, RuntimeValue> values;

  const RuntimeValue* find(const std::string& name) const;
};

/// Runs one node on these inputs (in the order of node.inputs; an absent one is empty).
/// `scope` gives what its sub-graphs capture. Errors are prefixed with the node's label.
Result<std::vector<RuntimeValue>> run_node(const Node& node, std::vector<RuntimeValue> inputs,
                                           const Scope& scope, uint64_t seed,
                                           OutputAllocator allocator = {});

/// Runs a whole graph; `inputs` in the order of graph.inputs.
Result<std::vector<RuntimeValue>> interpret(const Graph& graph, std::vector<RuntimeValue> inputs,
                                            const Scope& outer, uint64_t seed);

}  // namespace fewbit
