#pragma once
// An operator that is another one plus something: it runs the other's row on tensors of its own.

#include "runtime/ops/op_support.h"

namespace fewbit::ops {

/// Output 0 of a node that is in no graph (its outputs only say how many there are).
Result<Tensor> run_nested(const Node& node, std::vector<RuntimeValue> inputs);

/// A node of the ONNX domain with one output, named like `node` in errors, without attributes.
Node nested_node(const Node& node, std::string_view op_type, int opset = 13);

}  // namespace fewbit::ops
