#pragma once
// An operator that is another one plus something: it runs the other's row on tensors of its own.

#include "runtime/ops/op_support.h"

namespace fewbit::ops {

/// Output 0 of the ONNX operator `op_type` at `opset`, run with this node's attributes (and name,
/// in errors) on `inputs`.
Result<Tensor> run_nested(const OpContext& ctx, std::string_view op_type, int opset,
                          std::vector<RuntimeValue> inputs);

/// Output 0 of a node that is in no graph (its outputs only say how many there are).
Result<Tensor> run_nested(const Node& node, std::vector<RuntimeValue> inputs);

}  // namespace fewbit::ops
