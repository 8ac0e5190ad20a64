#include "graph/verify.h"

#include <algorithm>

#include "graph/attribute_types.h"
#include "graph/infer.h"

namespace fewbit {

namespace {

constexpr int kMaxDepth = 64;

// One graph on the way from the main graph to the one being looked at.
struct Scope {
  const Graph& graph;
  const Scope* outer;
  std::vector<bool> defined;  // by value id, up to the node being looked at

  Scope(const Graph& g, const Scope* o) : graph(g), outer(o), defined(g.value_count(), false) {}
};

bool is_valid(const Graph& graph, ValueId id) {
  return id >= 0 && static_cast<size_t>(id) < graph.value_count();
}

// True if an enclosing graph has defined the name by now.
bool is_captured(const Scope& scope, const std::string& name) {
  for (const Scope* s = scope.outer; s != nullptr; s = s->outer) {
    ValueId id = s->graph.find_value(name);
    if (id == kNone) continue;
    if (s->defined[static_cast<size_t>(id)]) return true;
    // A capture of the graph in between is looked for further out.
    if (s->graph.value(id).producer != kNone) return false;
  }
  return false;
}

Status check_defined(const Scope& scope, ValueId id, const std::string& where) {
  if (!is_valid(scope.graph, id)) {
    return bad_input("{}: value {} does not exist", where, id);
  }
  if (scope.defined[static_cast<size_t>(id)]) return {};
  const Value& v = scope.graph.value(id);
  if (v.producer != kNone) {
    return bad_input("{} reads '{}' before {} computes it", where, v.name,
                     scope.graph.node(v.producer).label());
  }
  if (is_captured(scope, v.name)) return {};
  return bad_input("{} reads '{}', which nothing defines", where, v.name);
}

Status check_constant(const Value& v) {
  if (v.type.kind == ValueType::Kind::kUnknown || !v.constant) return {};
  bool fits = v.type.kind == ValueType::Kind::kTensor &&
              (v.type.elem == DType::kUndefined || v.type.elem == v.constant->type());
  const Dims& dims = v.constant->dims();
  if (fits && v.type.shape) {
    fits = v.type.shape->size() == dims.size();
    for (size_t i = 0; fits && i < dims.size(); ++i) {
      const Dim& d = (*v.type.shape)[i];
      fits = !d.known() || d.value == dims[i];
    }
  }
  if (fits) return {};
  return bad_input("constant '{}' is {}{}, but is declared {}", v.name, name_of(v.constant->type()),
                   to_string(dims), v.type.to_string());
}

Status check_attributes(const Node& node) {
  if (!node.domain.empty()) return {};
  for (const auto& [name, attribute] : node.attributes) {
    if (name.empty()) return bad_input("{}: an attribute has no name", node.label());
    std::string_view expected = expected_attribute_type(node.op_type, node.opset, name);
    std::string_view found = attribute_type_name(attribute);
    if (!expected.empty() && expected != found) {
      return bad_input("{}: attribute '{}' is {}, expected {}", node.label(), name, found,
                       expected);
    }
  }
  return {};
}

Status check_outputs(Scope& scope, NodeId id) {
  const Node& node = scope.graph.node(id);
  for (ValueId out : node.outputs) {
    if (out == kNone) continue;
    if (!is_valid(scope.graph, out)) {
      return bad_input("{}: output value {} does not exist", node.label(), out);
    }
    const Value& v = scope.graph.value(out);
    if (scope.defined[static_cast<size_t>(out)] || v.producer != id) {
      return bad_input("{} computes '{}', which is already defined", node.label(), v.name);
    }
    scope.defined[static_cast<size_t>(out)] = true;
  }
  return {};
}

Status verify_graph(const Graph& graph, const Scope* outer, int depth);

Status check_subgraphs(const Scope& scope, const Node& node, int depth) {
  for (const auto& [name, attribute] : node.attributes) {
    std::vector<std::shared_ptr<Graph>> graphs;
    if (const auto* one = std::get_if<std::shared_ptr<Graph>>(&attribute)) graphs.push_back(*one);
    if (const auto* list = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute)) {
      graphs = *list;
    }
    for (const auto& sub : graphs) {
      if (sub == nullptr) {
        return bad_input("{}: attribute '{}' holds no graph", node.label(), name);
      }
      Status status = verify_graph(*sub, &scope, depth + 1);
      if (!status.ok()) {
        return std::move(status).error().with_context(
            fmt::format("{}, sub-graph '{}'", node.label(), name));
      }
    }
  }
  return {};
}

Status check_node(Scope& scope, NodeId id, int depth) {
  const Node& node = scope.graph.node(id);
  if (node.op_type.empty()) {
    return bad_input("node '{}' has no operator type", node.name);
  }
  const SchemaRow* row = find_schema(node.domain, node.op_type, node.opset);
  if (row != nullptr) FEWBIT_TRY(check_arity(*row, node));
  FEWBIT_TRY(check_attributes(node));
  for (ValueId in : node.inputs) {
    if (in != kNone) FEWBIT_TRY(check_defined(scope, in, node.label()));
  }
  FEWBIT_TRY(check_subgraphs(scope, node, depth));
  return check_outputs(scope, id);
}

Status verify_graph(const Graph& graph, const Scope* outer, int depth) {
  if (depth > kMaxDepth) return unsupported("sub-graphs are nested more than {} deep", kMaxDepth);
  Scope scope(graph, outer);
  for (ValueId id : graph.inputs) {
    if (!is_valid(graph, id)) return bad_input("graph input value {} does not exist", id);
    const Value& v = graph.value(id);
    if (scope.defined[static_cast<size_t>(id)]) {
      return bad_input("graph input '{}' is listed twice", v.name);
    }
    if (v.producer != kNone) {
      return bad_input("graph input '{}' is also computed by {}", v.name,
                       graph.node(v.producer).label());
    }
    scope.defined[static_cast<size_t>(id)] = true;
  }
  for (ValueId id = 0; id < static_cast<ValueId>(graph.value_count()); ++id) {
    const Value& v = graph.value(id);
    if (v.name.empty()) return bad_input("value {} has no name", id);
    FEWBIT_TRY(check_constant(v));
    if (v.is_constant() && v.producer == kNone) scope.defined[static_cast<size_t>(id)] = true;
  }
  for (NodeId id : graph.order()) FEWBIT_TRY(check_node(scope, id, depth));
  for (ValueId id : graph.outputs) FEWBIT_TRY(check_defined(scope, id, "a graph output"));
  return {};
}

}  // namespace

Status verify(const Model& model) {
  Status status = verify_graph(model.graph, nullptr, 0);
  if (status.ok() || model.path.empty()) return status;
  return std::move(status).error().with_context(model.path);
}

}  // namespace fewbit
