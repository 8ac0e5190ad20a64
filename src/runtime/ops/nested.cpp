#include "runtime/ops/nested.h"

namespace fewbit::ops {

Result<Tensor> run_nested(const Node& node, std::vector<RuntimeValue> inputs) {
  const OpRow* row = find_op(node);
  FEWBIT_CHECK(row != nullptr, node.op_type, node.opset);
  OpContext inner(node, std::move(inputs));
  FEWBIT_TRY(row->run(inner));
  return std::move(inner.outputs()[0].tensor());
}

Result<Tensor> run_nested(const OpContext& ctx, std::string_view op_type, int opset,
                          std::vector<RuntimeValue> inputs) {
  Node node;
  node.op_type = op_type;
  node.name = ctx.node().name;
  node.opset = opset;
  node.outputs = {0};
  node.attributes = ctx.node().attributes;
  return run_nested(node, std::move(inputs));
}

}  // namespace fewbit::ops
