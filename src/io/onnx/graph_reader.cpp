#include "io/onnx/graph_reader.h"

#include <algorithm>
#include <limits>

#include "io/onnx/type_proto.h"

namespace fewbit::onnx {

std::string normal_domain(const std::string& domain) {
  return domain == "ai.onnx" ? "" : domain;
}

Result<Opsets> read_opsets(
    const google::protobuf::RepeatedPtrField<pb::OperatorSetIdProto>& imports) {
  Opsets opsets;
  for (const auto& import : imports) {
    if (import.version() < 1 || import.version() > std::numeric_limits<int>::max()) {
      return bad_input("imports version {} of the operator set '{}'", import.version(),
                       import.domain());
    }
    int& version = opsets[normal_domain(import.domain())];
    version = std::max(version, static_cast<int>(import.version()));
  }
  return opsets;
}

std::string node_label(const pb::NodeProto& node) {
  std::string op = normal_domain(node.domain());
  op = op.empty() ? node.op_type() : op + "." + node.op_type();
  if (!node.name().empty()) return fmt::format("{} node '{}'", op, node.name());
  for (const std::string& output : node.output()) {
    if (!output.empty()) return fmt::format("{} node with output '{}'", op, output);
  }
  return fmt::format("{} node without name and outputs", op);
}

namespace {

template <typename Repeated>
void merge_metadata(const Repeated& entries, std::map<std::string, std::string>& metadata) {
  for (const auto& entry : entries) metadata[entry.key()] = entry.value();
}

bool agrees(const ValueType& declared, const ValueType& actual) {
  if (declared.kind != ValueType::Kind::kTensor) return false;
  if (declared.elem != DType::kUndefined && declared.elem != actual.elem) return false;
  if (!declared.shape) return true;
  if (declared.shape->size() != actual.shape->size()) return false;
  for (size_t i = 0; i < actual.shape->size(); ++i) {
    const Dim& d = (*declared.shape)[i];
    if (d.known() && d.value != (*actual.shape)[i].value) return false;
  }
  return true;
}

// Three messages per level: within protobuf's limit of 100 also after functions were inlined, with
// room for tensors and types in the innermost graph.
constexpr int kMaxGraphDepth = 24;

Error too_deep() {
  return unsupported("sub-graphs are nested deeper than {} levels", kMaxGraphDepth);
}

int nesting_of(const Graph& graph, int depth) {
  int deepest = depth;
  if (depth > kMaxGraphDepth) return depth;
  for (NodeId id : graph.order()) {
    for (const auto& [key, attribute] : graph.node(id).attributes) {
      if (const auto* g = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
        deepest = std::max(deepest, nesting_of(**g, depth + 1));
      } else if (const auto* list = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute)) {
        for (const auto& item : *list) deepest = std::max(deepest, nesting_of(*item, depth + 1));
      }
    }
  }
  return deepest;
}

ValueType type_of(const Tensor& tensor) {
  Shape shape;
  for (int64_t d : tensor.dims()) shape.push_back(Dim::of(d));
  return ValueType::tensor(tensor.type(), std::move(shape));
}

}  // namespace

GraphReader::GraphReader(const pb::ModelProto& model, TensorSources& sources,
                         const OnnxReadOptions& options, Opsets opsets)
    : model_(model), sources_(sources), options_(options), opsets_(std::move(opsets)) {}

Status GraphReader::read(Graph& graph) {
  FEWBIT_TRY(read_graph(model_.graph(), graph, nullptr, nullptr));
  // Graphs that functions pass on as attributes can end up deeper than where they were read.
  return nesting_of(graph, 0) > kMaxGraphDepth ? too_deep() : Status();
}

void GraphReader::note(const std::string& line) {
  if (options_.notes != nullptr) options_.notes->push_back(line);
}

// The name that a value of the file gets in our graph. In a function body all names are made fresh,
// also those of its sub-graphs: so nothing there can hide a name of the caller that a capture
// needs.
std::string GraphReader::value_name(const std::string& name, const Call* call) {
  return call == nullptr ? name : fresh_name(call->prefix + name);
}

Status GraphReader::read_graph(const pb::GraphProto& proto, Graph& graph, const Scope* outer,
                               const Call* call) {
  graph.name = proto.name();
  graph.doc = proto.doc_string();
  merge_metadata(proto.metadata_props(), graph.metadata);

  Scope scope;
  scope.graph = &graph;
  scope.outer = outer;
  if (graph_depth_ > kMaxGraphDepth) return too_deep();
  ++graph_depth_;
  Status status = read_body(proto, scope, call);
  --graph_depth_;
  return status.ok() ? graph.sort() : status;
}

Status GraphReader::read_body(const pb::GraphProto& proto, Scope& scope, const Call* call) {
  FEWBIT_TRY(declare_inputs(proto, scope, call));
  FEWBIT_TRY(declare_initializers(proto, scope, call));
  FEWBIT_TRY(read_nodes(proto.node(), scope, call));
  FEWBIT_TRY(read_value_infos(proto.value_info(), scope));
  FEWBIT_TRY(read_outputs(proto, scope));
  read_annotations(proto, scope);
  return {};
}

Status GraphReader::declare_inputs(const pb::GraphProto& proto, Scope& scope, const Call* call) {
  for (const auto& input : proto.input()) {
    if (input.name().empty()) return bad_input("a graph input without a name");
    if (scope.values.count(input.name()) != 0) {
      return bad_input("two graph inputs have the name '{}'", input.name());
    }
    Result<ValueType> type = read_type(input.type());
    if (!type.ok()) {
      return std::move(type).error().with_context(fmt::format("graph input '{}'", input.name()));
    }
    ValueId id = scope.graph->add_value(value_name(input.name(), call), *std::move(type));
    Value& value = scope.graph->value(id);
    value.doc = input.doc_string();
    merge_metadata(input.metadata_props(), value.metadata);
    scope.values.emplace(input.name(), id);
    scope.graph->inputs.push_back(id);
  }
  return {};
}

Status GraphReader::declare_initializers(const pb::GraphProto& proto, Scope& scope,
                                         const Call* call) {
  const auto declare = [&](const pb::TensorProto& named, Result<Tensor> tensor) -> Status {
    if (named.name().empty()) return bad_input("an initializer without a name");
    Status status = tensor.ok() ? declare_constant(named.name(), *std::move(tensor), scope, call)
                                : Status(std::move(tensor).error());
    if (!status.ok()) {
      return std::move(status).error().with_context(fmt::format("initializer '{}'", named.name()));
    }
    Value& value = scope.graph->value(scope.values[named.name()]);
    if (!named.doc_string().empty()) value.doc = named.doc_string();
    merge_metadata(named.metadata_props(), value.metadata);
    return {};
  };
  for (const auto& tensor : proto.initializer()) {
    FEWBIT_TRY(declare(tensor, read_tensor(tensor, sources_)));
  }
  for (const auto& sparse : proto.sparse_initializer()) {
    FEWBIT_TRY(declare(sparse.values(), read_sparse_tensor(sparse, sources_)));
  }
  return {};
}

Status GraphReader::declare_constant(const std::string& name, Tensor tensor, Scope& scope,
                                     const Call* call) {
  auto known = scope.values.find(name);
  if (known == scope.values.end()) {
    ValueId id = scope.graph->add_constant(value_name(name, call), std::move(tensor));
    scope.values.emplace(name, id);
    return {};
  }
  // Inputs were declared before: an initializer of that name is the input's default.
  Value& input = scope.graph->value(known->second);
  if (input.is_constant()) return bad_input("two initializers have this name");
  ValueType actual = type_of(tensor);
  if (input.type.kind == ValueType::Kind::kUnknown) input.type = actual;
  if (!agrees(input.type, actual)) {
    return bad_input("is {}, but the graph input of that name is declared as {}",
                     actual.to_string(), input.type.to_string());
  }
  input.constant = std::make_shared<const Tensor>(std::move(tensor));
  return {};
}

Status GraphReader::read_outputs(const pb::GraphProto& proto, Scope& scope) {
  for (const auto& output : proto.output()) {
    Result<ValueId> id = find(output.name(), scope);
    if (!id.ok() || *id == kNone) {
      return bad_input("the graph output '{}' is produced by no node", output.name());
    }
    Result<ValueType> type = read_type(output.type());
    if (!type.ok()) {
      return std::move(type).error().with_context(fmt::format("graph output '{}'", output.name()));
    }
    Value& value = scope.graph->value(*id);
    const bool keeps_own_type = value.is_constant() || scope.graph->is_input(*id);
    if (type->kind != ValueType::Kind::kUnknown && !keeps_own_type) value.type = *std::move(type);
    if (!output.doc_string().empty()) value.doc = output.doc_string();
    merge_metadata(output.metadata_props(), value.metadata);
    scope.graph->outputs.push_back(*id);
  }
  return {};
}

Status GraphReader::read_value_infos(
    const google::protobuf::RepeatedPtrField<pb::ValueInfoProto>& infos, Scope& scope) {
  for (const auto& info : infos) {
    auto known = scope.values.find(info.name());
    if (known == scope.values.end() || known->second == kNone) continue;  // a stale entry
    Value& value = scope.graph->value(known->second);
    if (!info.doc_string().empty()) value.doc = info.doc_string();
    merge_metadata(info.metadata_props(), value.metadata);
    if (value.type.kind != ValueType::Kind::kUnknown) continue;
    Result<ValueType> type = read_type(info.type());
    if (type.ok()) {
      value.type = *std::move(type);
    } else if (type.error().kind() == ErrorKind::kUnsupported) {
      note(fmt::format("value '{}': {}; its type is left open", info.name(),
                       type.error().message()));
    } else {
      return std::move(type).error().with_context(fmt::format("value '{}'", info.name()));
    }
  }
  return {};
}

void GraphReader::read_annotations(const pb::GraphProto& proto, Scope& scope) {
  for (const auto& annotation : proto.quantization_annotation()) {
    auto known = scope.values.find(annotation.tensor_name());
    if (known == scope.values.end() || known->second == kNone) continue;
    auto& metadata = scope.graph->value(known->second).metadata;
    for (const auto& entry : annotation.quant_parameter_tensor_names()) {
      metadata[std::string(kQuantAnnotationPrefix) + entry.key()] = entry.value();
    }
  }
}

// Two passes, so that nodes need not be in order: the file's order is checked by sorting, and a
// cycle is told from a missing input.
Status GraphReader::read_nodes(const google::protobuf::RepeatedPtrField<pb::NodeProto>& nodes,
                               Scope& scope, const Call* call) {
  const auto with_label = [](const pb::NodeProto& node, Status status) -> Status {
    if (status.ok()) return status;
    return std::move(status).error().with_context(node_label(node));
  };
  for (const auto& node : nodes) {
    FEWBIT_TRY(with_label(node, declare_outputs(node, scope, call)));
  }
  for (const auto& node : nodes) {
    FEWBIT_TRY(with_label(node, read_node(node, scope, call)));
  }
  return {};
}

Status GraphReader::declare_outputs(const pb::NodeProto& node, Scope& scope, const Call* call) {
  for (const std::string& name : node.output()) {
    if (name.empty()) continue;
    if (scope.values.count(name) != 0) {
      return bad_input(
          "its output '{}' is defined before: by another node, as an input or as an "
          "initializer",
          name);
    }
    auto bound = scope.bound_outputs.find(name);
    ValueId id = bound != scope.bound_outputs.end()
                     ? bound->second
                     : scope.graph->add_value(value_name(name, call));
    scope.values.emplace(name, id);
  }
  return {};
}

Result<ValueId> GraphReader::find(const std::string& name, Scope& scope) {
  auto known = scope.values.find(name);
  if (known != scope.values.end()) return known->second;
  for (const Scope* outer = scope.outer; outer != nullptr; outer = outer->outer) {
    auto found = outer->values.find(name);
    if (found == outer->values.end()) continue;
    ValueId id = kNone;
    if (found->second != kNone) {
      // A capture: a value of the same name that nothing in this graph defines.
      const std::string& outer_name = outer->graph->value(found->second).name;
      id = scope.graph->find_value(outer_name);
      if (id == kNone) id = scope.graph->add_value(outer_name);
    }
    scope.values.emplace(name, id);
    return id;
  }
  return bad_input(
      "reads '{}', which no node produces and which is neither an input nor an "
      "initializer",
      name);
}

Status GraphReader::read_node(const pb::NodeProto& proto, Scope& scope, const Call* call) {
  if (proto.op_type().empty()) return bad_input("has no operator type");
  if (const pb::FunctionProto* function = find_function(proto)) {
    return inline_call(proto, *function, scope, call);
  }
  Node node;
  node.op_type = proto.op_type();
  node.domain = normal_domain(proto.domain());
  const Opsets& opsets = call == nullptr ? opsets_ : call->opsets;
  auto opset = opsets.find(node.domain);
  if (opset == opsets.end()) {
    return bad_input("the {} imports no operator set of the domain '{}'",
                     call == nullptr ? "model" : "function",
                     node.domain.empty() ? "ai.onnx" : node.domain);
  }
  node.opset = opset->second;
  node.name = call == nullptr || proto.name().empty() ? proto.name() : call->prefix + proto.name();
  node.doc = proto.doc_string();
  merge_metadata(proto.metadata_props(), node.metadata);
  if (proto.device_configurations_size() > 0) {
    note(fmt::format("{}: the many-device configuration is ignored", node_label(proto)));
  }
  FEWBIT_TRY(read_attributes(proto, scope, call, node.attributes));
  if (node.is("Constant")) return fold_constant(proto, node, scope);
  for (const std::string& name : proto.input()) {
    ValueId id = kNone;
    if (!name.empty()) {
      FEWBIT_ASSIGN(id, find(name, scope));
    }
    node.inputs.push_back(id);
  }
  for (const std::string& name : proto.output()) {
    node.outputs.push_back(name.empty() ? kNone : scope.values[name]);
  }
  scope.graph->add_node(std::move(node));
  return {};
}

namespace {

// The value of a Constant node, whatever form it has.
Result<Tensor> constant_value(const Node& node) {
  if (node.attributes.size() != 1) {
    return bad_input("has {} attributes instead of one value", node.attributes.size());
  }
  const auto& [key, attribute] = *node.attributes.begin();
  if (const auto* t = std::get_if<Tensor>(&attribute)) return *t;
  if (const auto* f = std::get_if<float>(&attribute)) return Tensor::scalar(*f);
  if (const auto* i = std::get_if<int64_t>(&attribute)) return Tensor::scalar(*i);
  if (const auto* s = std::get_if<std::string>(&attribute)) return Tensor::strings({}, {*s});
  const auto length = [](const auto& list) { return Dims{static_cast<int64_t>(list.size())}; };
  if (const auto* fs = std::get_if<std::vector<float>>(&attribute)) {
    return Tensor::from(length(*fs), *fs);
  }
  if (const auto* is = std::get_if<std::vector<int64_t>>(&attribute)) {
    return Tensor::from(length(*is), *is);
  }
  if (const auto* ss = std::get_if<std::vector<std::string>>(&attribute)) {
    return Tensor::strings(length(*ss), *ss);
  }
  return bad_input("attribute '{}' is no tensor, number or string", key);
}

}  // namespace

Status GraphReader::fold_constant(const pb::NodeProto& proto, const Node& node, Scope& scope) {
  FEWBIT_ASSIGN(Tensor tensor, constant_value(node));
  if (proto.output_size() != 1 || proto.output(0).empty()) {
    return bad_input("has {} outputs instead of one", proto.output_size());
  }
  Value& value = scope.graph->value(scope.values[proto.output(0)]);
  value.type = type_of(tensor);
  value.constant = std::make_shared<const Tensor>(std::move(tensor));
  value.doc = node.doc;
  value.metadata = node.metadata;
  return {};
}

}  // namespace fewbit::onnx
