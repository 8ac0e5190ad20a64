#pragma once
// Running a graph that is an attribute of a node.

#include <string_view>
#include <vector>

#include "runtime/ops/op_support.h"

namespace fewbit::ops {

/// The graph attribute `key`.
Result<const Graph*> subgraph(const OpContext& ctx, std::string_view key);

/// Runs it; an error if the number of inputs is not the graph's.
Result<std::vector<RuntimeValue>> run_subgraph(OpContext& ctx, const Graph& graph,
                                               std::vector<RuntimeValue> inputs);

/// What a scan output is when nothing was scanned: [0, shape as the body declares it], unknown
/// extents 0.
Result<Tensor> empty_scan_output(const Node& node, const Graph& body, size_t output);

}  // namespace fewbit::ops
