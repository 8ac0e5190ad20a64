#include "runtime/interpreter.h"

namespace fewbit {

const RuntimeValue* Scope::find(const std::string& name) const {
  for (const Scope* s = this; s != nullptr; s = s->parent) {
    auto it = s->values.find(name);
    if (it != s->values.end()) return &it->second;
  }
  return nullptr;
}

Result<std::vector<RuntimeValue>> run_node(const Node& node, std::vector<RuntimeValue> inputs,
                                           const Scope& scope, uint64_t seed,
                                           OutputAllocator allocator) {
  const OpRow* row = find_op(node);
  if (row == nullptr) {
    return unsupported("{}: no implementation at opset {}", node.label(), node.opset);
  }
  OpContext context(node, std::move(inputs));
  context.seed = seed;
  context.allocator = std::move(allocator);
  context.run_subgraph = [&](const Graph& graph, std::vector<RuntimeValue> values) {
    return interpret(graph, std::move(values), scope, seed);
  };
  Status status = row->run(context);
  if (!status.ok()) {
    Error error = std::move(status).error();
    std::string label = node.label();
    if (error.message().find(label) != std::string::npos) return error;
    return std::move(error).with_context(label);
  }
  return std::move(context.outputs());
}

Result<std::vector<RuntimeValue>> interpret(const Graph& graph, std::vector<RuntimeValue> inputs,
                                            const Scope& outer, uint64_t seed) {
  if (inputs.size() > graph.inputs.size()) {
    return bad_input("sub-graph '{}' takes {} inputs, {} given", graph.name, graph.inputs.size(),
                     inputs.size());
  }
  std::vector<RuntimeValue> local(graph.value_count());
  std::vector<bool> known(graph.value_count(), false);
  auto set = [&](ValueId id, RuntimeValue value) {
    local[static_cast<size_t>(id)] = std::move(value);
    known[static_cast<size_t>(id)] = true;
  };
  for (size_t i = 0; i < inputs.size(); ++i) set(graph.inputs[i], std::move(inputs[i]));
  auto read = [&](ValueId id) -> Result<RuntimeValue> {
    if (id == kNone) return RuntimeValue();
    if (known[static_cast<size_t>(id)]) return local[static_cast<size_t>(id)];
    const Value& v = graph.value(id);
    if (v.is_constant()) return RuntimeValue(*v.constant);
    const RuntimeValue* captured = outer.find(v.name);
    if (captured == nullptr) return bad_input("value '{}' is read but never produced", v.name);
    return *captured;
  };
  // Sub-graphs of the nodes here see the local values by name. They are listed only when needed.
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    Scope scope{&outer, {}};
    bool nested = false;
    for (const auto& [key, attribute] : node.attributes) {
      nested = nested || std::holds_alternative<std::shared_ptr<Graph>>(attribute);
    }
    if (nested) {
      for (size_t v = 0; v < local.size(); ++v) {
        const Value& value = graph.value(static_cast<ValueId>(v));
        if (known[v]) {
          scope.values.emplace(value.name, local[v]);
        } else if (value.is_constant()) {
          scope.values.emplace(value.name, *value.constant);
        }
      }
    }
    std::vector<RuntimeValue> values;
    for (ValueId in : node.inputs) {
      FEWBIT_ASSIGN(RuntimeValue value, read(in));
      values.push_back(std::move(value));
    }
    FEWBIT_ASSIGN(auto outputs, run_node(node, std::move(values), scope, seed));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] != kNone) set(node.outputs[i], std::move(outputs[i]));
    }
  }
  std::vector<RuntimeValue> results;
  for (ValueId out : graph.outputs) {
    FEWBIT_ASSIGN(RuntimeValue value, read(out));
    results.push_back(std::move(value));
  }
  return results;
}

}  // namespace fewbit
