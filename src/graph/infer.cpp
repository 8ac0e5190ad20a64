#include "graph/infer.h"

#include <map>

#include "graph/infer_context.h"

namespace fewbit {

namespace {

std::string count_range(int low, int high) {
  if (high < 0) return fmt::format("at least {}", low);
  return low == high ? std::to_string(low) : fmt::format("{} to {}", low, high);
}

Status check_count(std::string_view what, size_t count, int low, int high, const Node& node) {
  if (count >= static_cast<size_t>(low) && (high < 0 || count <= static_cast<size_t>(high))) {
    return {};
  }
  return bad_input("{} has {} {}, expected {}", node.label(), count, what, count_range(low, high));
}

// A missing type of a constant is that of its tensor.
void type_constant(Graph& graph, ValueId id) {
  const Tensor* tensor = graph.constant(id);
  if (tensor == nullptr || graph.value(id).type.kind != ValueType::Kind::kUnknown) return;
  graph.value(id).type = ValueType::tensor(tensor->type(), infer::to_shape(tensor->dims()));
}

Status write_output(InferScope& scope, const Node& node, size_t i, const InferContext& context) {
  ValueId id = node.outputs[i];
  if (id == kNone) return {};
  Value& v = scope.graph.value(id);
  const ValueType& inferred = context.out_type(i);
  if (auto dims = inferred.static_dims(); dims && inferred.elem != DType::kUndefined) {
    auto elements = checked_elements(*dims, inferred.elem);
    if (!elements.ok()) {
      return std::move(elements).error().with_context(
          fmt::format("{}: output {} '{}'", node.label(), i, v.name));
    }
  }
  auto merged = merge_types(inferred, v.type);
  if (!merged) {
    return bad_input("{}: output {} '{}' is declared {}, but is {}", node.label(), i, v.name,
                     v.type.to_string(), inferred.to_string());
  }
  v.type = std::move(*merged);
  const auto& value = context.out_value(i);
  if (!scope.carry_values) return {};
  if (value && infer::carried_elements(value->dims)) {
    scope.partials[id] = *value;
  } else {
    scope.partials.erase(id);
  }
  return {};
}

Status check_no_containers(const InferContext& context, const Node& node) {
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    ValueType::Kind kind = context.type(i).kind;
    if (kind == ValueType::Kind::kSequence || kind == ValueType::Kind::kOptional) {
      return context.fail(i, "a tensor");
    }
  }
  return {};
}

void clear_shape(ValueType& type) {
  type.shape.reset();
  if (!type.inner) return;
  ValueType inner = *type.inner;
  clear_shape(inner);
  type.inner = std::make_shared<ValueType>(std::move(inner));
}

}  // namespace

Status check_arity(const SchemaRow& row, const Node& node) {
  FEWBIT_TRY(check_count("inputs", node.inputs.size(), row.min_inputs, row.max_inputs, node));
  FEWBIT_TRY(check_count("outputs", node.outputs.size(), row.min_outputs, row.max_outputs, node));
  for (size_t i = 0; i < static_cast<size_t>(row.min_inputs); ++i) {
    bool may_be_left_out = i < 32 && (row.optional >> i & 1) != 0;
    if (node.inputs[i] == kNone && !may_be_left_out) {
      return bad_input("{}: input {} is left out, but is required", node.label(), i);
    }
  }
  return {};
}

Status infer_in_scope(InferScope& scope, NodeId id) {
  const Node& node = scope.graph.node(id);
  const SchemaRow* row = find_schema(node.domain, node.op_type, node.opset);
  if (row == nullptr || row->infer == nullptr) return {};
  FEWBIT_TRY(check_arity(*row, node));
  for (ValueId in : node.inputs) type_constant(scope.graph, in);
  InferContext context(scope, node);
  Status status = row->containers ? Status{} : check_no_containers(context, node);
  if (status.ok()) status = row->infer(context);
  if (!status.ok()) return std::move(status).error().with_context(node.label());
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    FEWBIT_TRY(write_output(scope, node, i, context));
  }
  return {};
}

Status infer_node(Graph& graph, NodeId id) {
  InferBudget budget;
  InferScope scope{graph, budget};
  return infer_in_scope(scope, id);
}

Status infer_graph(Graph& graph) {
  InferBudget budget;
  InferScope scope{graph, budget, true};
  for (ValueId id : graph.outputs) type_constant(graph, id);
  for (NodeId id : graph.order()) FEWBIT_TRY(infer_in_scope(scope, id));
  return {};
}

void clear_shapes(Graph& graph, bool is_subgraph) {
  for (ValueId id = 0; id < static_cast<ValueId>(graph.value_count()); ++id) {
    Value& v = graph.value(id);
    bool inner = is_subgraph || v.producer != kNone;
    if (inner && !v.is_constant()) clear_shape(v.type);
  }
  for (NodeId id : graph.order()) {
    for (auto& [key, attribute] : graph.node(id).attributes) {
      if (auto* sub = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
        if (*sub) clear_shapes(**sub, true);
      } else if (auto* list = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute)) {
        for (auto& item : *list) {
          if (item) clear_shapes(*item, true);
        }
      }
    }
  }
}

namespace {

using SymbolValues = std::map<std::string, int64_t>;

Status bind_one(Value& input, const Dims& dims, SymbolValues& symbols) {
  if (input.type.kind != ValueType::Kind::kTensor && input.type.kind != ValueType::Kind::kUnknown) {
    return bad_input("input '{}' is a {}: it has no shape to bind", input.name,
                     input.type.to_string());
  }
  auto elements = checked_elements(
      dims, input.type.elem == DType::kUndefined ? DType::kUint8 : input.type.elem);
  if (!elements.ok()) {
    return std::move(elements).error().with_context(fmt::format("input '{}'", input.name));
  }
  bool fits = !input.type.shape || input.type.shape->size() == dims.size();
  for (size_t i = 0; fits && input.type.shape && i < dims.size(); ++i) {
    const Dim& declared = (*input.type.shape)[i];
    fits = !declared.known() || declared.value == dims[i];
    if (!declared.known() && !declared.symbol.empty()) symbols.emplace(declared.symbol, dims[i]);
  }
  if (!fits) {
    return bad_input("input '{}' is {}, but is given the shape {}", input.name,
                     input.type.to_string(), to_string(dims));
  }
  input.type = ValueType::tensor(input.type.elem, infer::to_shape(dims));
  return {};
}

void substitute(ValueType& type, const SymbolValues& symbols) {
  if (!type.shape) return;
  for (Dim& d : *type.shape) {
    auto it = d.known() ? symbols.end() : symbols.find(d.symbol);
    if (it != symbols.end()) d = Dim::of(it->second);
  }
}

}  // namespace

Status bind_input_shapes(Graph& graph, const std::vector<std::pair<std::string, Dims>>& shapes) {
  SymbolValues symbols;
  for (const auto& [name, dims] : shapes) {
    ValueId id = graph.find_value(name);
    if (id == kNone || !graph.is_input(id)) return misuse("the model has no input '{}'", name);
    FEWBIT_TRY(bind_one(graph.value(id), dims, symbols));
  }
  for (ValueId id : graph.inputs) substitute(graph.value(id).type, symbols);
  clear_shapes(graph, false);
  return {};
}

}  // namespace fewbit
