// Model-local functions: each call is replaced by the nodes of the function's body.

#include "io/onnx/graph_reader.h"
#include "io/onnx/type_proto.h"

namespace fewbit::onnx {
namespace {

constexpr int kMaxCallDepth = 64;
/// What a node costs beside its bytes in the file, roughly: bounds the memory of many small nodes.
constexpr uint64_t kNodeCostBytes = 512;
constexpr size_t kMaxPrefixBytes = 256;

std::string function_label(const pb::FunctionProto& f) {
  std::string label = f.domain().empty() ? f.name() : f.domain() + "." + f.name();
  return f.overload().empty() ? label : label + ":" + f.overload();
}

}  // namespace

Status GraphReader::index_functions() {
  for (const auto& f : model_.functions()) {
    FunctionKey key(normal_domain(f.domain()), f.name(), f.overload());
    if (!functions_.emplace(std::move(key), &f).second) {
      return bad_input("two functions are named '{}'", function_label(f));
    }
  }
  return {};
}

const pb::FunctionProto* GraphReader::find_function(const pb::NodeProto& node) const {
  if (functions_.empty()) return nullptr;
  auto it = functions_.find({normal_domain(node.domain()), node.op_type(), node.overload()});
  return it == functions_.end() ? nullptr : it->second;
}

Status GraphReader::spend(uint64_t bytes) {
  const auto limit = static_cast<uint64_t>(options_.max_inlined_bytes);
  if (bytes > limit - spent_bytes_) {
    return unsupported("inlining the model's functions makes it grow by more than {} bytes", limit);
  }
  spent_bytes_ += bytes;
  return {};
}

void GraphReader::collect_names(const pb::GraphProto& proto) {
  for (const auto& v : proto.input()) taken_.insert(v.name());
  for (const auto& t : proto.initializer()) taken_.insert(t.name());
  for (const auto& t : proto.sparse_initializer()) taken_.insert(t.values().name());
  for (const auto& n : proto.node()) {
    taken_.insert(n.output().begin(), n.output().end());
    for (const auto& a : n.attribute()) {
      if (a.has_g()) collect_names(a.g());
      for (const auto& g : a.graphs()) collect_names(g);
    }
  }
}

std::string GraphReader::fresh_name(const std::string& stem) {
  std::string name = stem;
  for (size_t i = taken_.size(); !taken_.insert(name).second; ++i) {
    name = fmt::format("{}_{}", stem, i);
  }
  return name;
}

Status GraphReader::inline_call(const pb::NodeProto& node, const pb::FunctionProto& function,
                                Scope& scope, const Call* caller) {
  Call call;
  Scope body;
  body.graph = scope.graph;
  const auto expand = [&]() -> Status {
    FEWBIT_TRY(start_call(node, function, scope, caller, call));
    FEWBIT_TRY(bind_inputs(node, function, scope, body));
    for (int i = 0; i < function.output_size(); ++i) {
      const std::string& formal = function.output(i);
      const bool wanted = i < node.output_size() && !node.output(i).empty();
      if (wanted && body.values.count(formal) == 0) {
        body.bound_outputs.emplace(formal, scope.values[node.output(i)]);
      }
    }
    FEWBIT_TRY(read_nodes(function.node(), body, &call));
    FEWBIT_TRY(read_value_infos(function.value_info(), body));
    return finish_outputs(node, function, scope, body, call);
  };
  Status status = expand();
  if (status.ok()) return status;
  return std::move(status).error().with_context(
      fmt::format("function '{}'", function_label(function)));
}

Status GraphReader::start_call(const pb::NodeProto& node, const pb::FunctionProto& function,
                               Scope& scope, const Call* caller, Call& call) {
  for (const Call* c = caller; c != nullptr; c = c->caller) {
    if (c->function == &function) return bad_input("calls itself");
  }
  call.depth = caller == nullptr ? 1 : caller->depth + 1;
  if (call.depth > kMaxCallDepth) {
    return unsupported("functions call functions more than {} levels deep", kMaxCallDepth);
  }
  FEWBIT_TRY(spend(function.ByteSizeLong() +
                   kNodeCostBytes * static_cast<uint64_t>(function.node_size() + 1)));
  if (calls_++ == 0) collect_names(model_.graph());
  call.function = &function;
  call.caller = caller;
  const std::string own =
      node.name().empty() ? fmt::format("{}_{}", function.name(), calls_) : node.name();
  call.prefix = (caller == nullptr ? "" : caller->prefix) + own + "/";
  if (call.prefix.size() > kMaxPrefixBytes) call.prefix = fmt::format("call_{}/", calls_);

  FEWBIT_ASSIGN(call.opsets, read_opsets(function.opset_import()));
  // A domain that only functions import becomes an import of the model.
  for (const auto& [domain, version] : call.opsets) opsets_.emplace(domain, version);

  std::map<std::string, Attribute, std::less<>> given;
  FEWBIT_TRY(read_attributes(node, scope, caller, given));
  for (const auto& a : node.attribute()) {
    const bool passed_on = caller != nullptr && !a.ref_attr_name().empty();
    auto size = passed_on ? caller->attribute_bytes.find(a.ref_attr_name())
                          : std::map<std::string, uint64_t>::const_iterator();
    const bool known = passed_on && size != caller->attribute_bytes.end();
    call.attribute_bytes[a.name()] = known ? size->second : a.ByteSizeLong();
  }
  for (auto& [name, value] : given) call.attributes.emplace(name, std::move(value));
  for (const auto& a : function.attribute_proto()) {
    if (call.attributes.count(a.name()) != 0) continue;
    if (a.has_g() || a.graphs_size() > 0) {
      return unsupported("the default of attribute '{}' is a graph", a.name());
    }
    Result<Attribute> value = read_attribute(a, scope, nullptr);
    if (!value.ok()) {
      return std::move(value).error().with_context(fmt::format("attribute '{}'", a.name()));
    }
    call.attributes.emplace(a.name(), *std::move(value));
    call.attribute_bytes[a.name()] = a.ByteSizeLong();
  }
  return {};
}

Status GraphReader::bind_inputs(const pb::NodeProto& node, const pb::FunctionProto& function,
                                Scope& scope, Scope& body) {
  if (node.input_size() > function.input_size() || node.output_size() > function.output_size()) {
    return bad_input("has {} inputs and {} outputs, but is called with {} and {}",
                     function.input_size(), function.output_size(), node.input_size(),
                     node.output_size());
  }
  for (int i = 0; i < function.input_size(); ++i) {
    ValueId actual = kNone;
    if (i < node.input_size() && !node.input(i).empty()) {
      FEWBIT_ASSIGN(actual, find(node.input(i), scope));
    }
    if (!body.values.emplace(function.input(i), actual).second) {
      return bad_input("has two inputs '{}'", function.input(i));
    }
  }
  return {};
}

// An output that no node of the body writes directly (it is an input of the function, or named
// twice) gets an Identity.
Status GraphReader::finish_outputs(const pb::NodeProto& node, const pb::FunctionProto& function,
                                   Scope& scope, Scope& body, const Call& call) {
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty()) continue;
    const ValueId target = scope.values[node.output(i)];
    auto source = body.values.find(function.output(i));
    if (source == body.values.end() || source->second == kNone) {
      return bad_input("its output '{}' is produced by no node", function.output(i));
    }
    if (source->second == target) continue;
    Node identity;
    identity.op_type = "Identity";
    identity.name = call.prefix + "output_" + std::to_string(i);
    const Opsets& opsets = call.opsets.count("") != 0 ? call.opsets : opsets_;
    auto opset = opsets.find("");
    identity.opset = opset == opsets.end() ? 1 : opset->second;
    identity.inputs = {source->second};
    identity.outputs = {target};
    scope.graph->add_node(std::move(identity));
  }
  return {};
}

}  // namespace fewbit::onnx
