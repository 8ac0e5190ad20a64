// Attributes of nodes: all forms, and references inside functions.

#include <utility>

#include "io/onnx/graph_reader.h"
#include "io/onnx/type_proto.h"

namespace fewbit::onnx {
namespace {

using Type = pb::AttributeProto;

// Files before IR version 2 carry no type: it is that of the field that is filled.
Type::AttributeType type_of(const pb::AttributeProto& a) {
  if (a.type() != Type::UNDEFINED) return a.type();
  if (a.has_f()) return Type::FLOAT;
  if (a.has_i()) return Type::INT;
  if (a.has_s()) return Type::STRING;
  if (a.has_t()) return Type::TENSOR;
  if (a.has_g()) return Type::GRAPH;
  if (a.has_sparse_tensor()) return Type::SPARSE_TENSOR;
  if (a.has_tp()) return Type::TYPE_PROTO;
  if (a.floats_size() > 0) return Type::FLOATS;
  if (a.ints_size() > 0) return Type::INTS;
  if (a.strings_size() > 0) return Type::STRINGS;
  if (a.tensors_size() > 0) return Type::TENSORS;
  if (a.graphs_size() > 0) return Type::GRAPHS;
  return Type::UNDEFINED;
}

// A copy of an attribute must not share its graphs: each belongs to one node.
Attribute deep_copy(const Attribute& attribute) {
  if (const auto* g = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
    return std::make_shared<Graph>(**g);
  }
  if (const auto* list = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute)) {
    std::vector<std::shared_ptr<Graph>> copies;
    for (const auto& g : *list) copies.push_back(std::make_shared<Graph>(*g));
    return copies;
  }
  return attribute;
}

}  // namespace

Status GraphReader::read_attributes(const pb::NodeProto& proto, Scope& scope, const Call* call,
                                    std::map<std::string, Attribute, std::less<>>& attributes) {
  for (const auto& a : proto.attribute()) {
    if (a.name().empty()) return bad_input("has an attribute without a name");
    if (attributes.count(a.name()) != 0) return bad_input("has two attributes '{}'", a.name());
    const auto in_context = [&](Error error) {
      return std::move(error).with_context(fmt::format("attribute '{}'", a.name()));
    };
    if (!a.ref_attr_name().empty()) {
      Result<std::optional<Attribute>> referred = resolve_reference(a, call);
      if (!referred.ok()) return in_context(std::move(referred).error());
      if (referred->has_value()) attributes.emplace(a.name(), **std::move(referred));
      continue;
    }
    Result<Attribute> value = read_attribute(a, scope, call);
    if (!value.ok()) return in_context(std::move(value).error());
    attributes.emplace(a.name(), *std::move(value));
  }
  return {};
}

// Nothing, if neither the call nor the function gives the attribute: then the operator's own
// default holds.
Result<std::optional<Attribute>> GraphReader::resolve_reference(const pb::AttributeProto& proto,
                                                                const Call* call) {
  if (call == nullptr) {
    return bad_input("refers to '{}' of a function, but stands in no function",
                     proto.ref_attr_name());
  }
  auto found = call->attributes.find(proto.ref_attr_name());
  if (found == call->attributes.end()) return std::optional<Attribute>();
  auto size = call->attribute_bytes.find(proto.ref_attr_name());
  FEWBIT_TRY(spend(size->second));
  return std::optional<Attribute>(deep_copy(found->second));
}

Result<std::shared_ptr<Graph>> GraphReader::read_subgraph(const pb::GraphProto& proto, Scope& scope,
                                                          const Call* call) {
  auto graph = std::make_shared<Graph>();
  FEWBIT_TRY(read_graph(proto, *graph, &scope, call));
  return graph;
}

Result<Attribute> GraphReader::read_attribute(const pb::AttributeProto& proto, Scope& scope,
                                              const Call* call) {
  switch (type_of(proto)) {
    case Type::FLOAT:
      return Attribute(proto.f());
    case Type::INT:
      return Attribute(proto.i());
    case Type::STRING:
      return Attribute(proto.s());
    case Type::FLOATS:
      return Attribute(std::vector<float>(proto.floats().begin(), proto.floats().end()));
    case Type::INTS:
      return Attribute(std::vector<int64_t>(proto.ints().begin(), proto.ints().end()));
    case Type::STRINGS:
      return Attribute(std::vector<std::string>(proto.strings().begin(), proto.strings().end()));
    case Type::TENSOR: {
      FEWBIT_ASSIGN(Tensor tensor, read_tensor(proto.t(), sources_));
      return Attribute(std::move(tensor));
    }
    case Type::SPARSE_TENSOR: {
      FEWBIT_ASSIGN(Tensor tensor, read_sparse_tensor(proto.sparse_tensor(), sources_));
      return Attribute(std::move(tensor));
    }
    case Type::TENSORS: {
      std::vector<Tensor> tensors;
      for (const auto& t : proto.tensors()) {
        FEWBIT_ASSIGN(Tensor tensor, read_tensor(t, sources_));
        tensors.push_back(std::move(tensor));
      }
      return Attribute(std::move(tensors));
    }
    case Type::GRAPH: {
      FEWBIT_ASSIGN(auto graph, read_subgraph(proto.g(), scope, call));
      return Attribute(std::move(graph));
    }
    case Type::GRAPHS: {
      std::vector<std::shared_ptr<Graph>> graphs;
      for (const auto& g : proto.graphs()) {
        FEWBIT_ASSIGN(auto graph, read_subgraph(g, scope, call));
        graphs.push_back(std::move(graph));
      }
      return Attribute(std::move(graphs));
    }
    case Type::TYPE_PROTO: {
      Result<ValueType> type = read_type(proto.tp());
      if (!type.ok()) return std::move(type).error();
      return Attribute(std::in_place_type<ValueType>, *std::move(type));
    }
    case Type::SPARSE_TENSORS:
      return unsupported("lists of sparse tensors are not supported");
    case Type::TYPE_PROTOS:
      return unsupported("lists of types are not supported");
    case Type::UNDEFINED:
      return bad_input("holds no value");
  }
  return bad_input("has the unknown type {}", static_cast<int>(proto.type()));
}

}  // namespace fewbit::onnx
