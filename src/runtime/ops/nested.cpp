#include "runtime/ops/nested.h"

namespace fewbit::ops {

Result<Tensor> run_nested(const Node& node, std::vector<RuntimeValue> inputs) {
  const OpRow* row = find_op(node);
  FEWBIT_CHECK(row != nullptr, node.op_type, node.opset);
  OpContext inner(node, std::move(inputs));
  FEWBIT_TRY(row->run(inner));
  return std::move(inner.outputs()[0].tensor());
}

Node nested_node(const Node& node, std::string_view op_type, int opset) {
  Node nested;
  nested.op_type = op_type;
  nested.name = node.name;
  nested.opset = opset;
  nested.outputs = {0};
  return nested;
}

}  // namespace fewbit::ops
