#include "cli/inspection.h"

#include <algorithm>
#include <map>

#include "graph/cost.h"
#include "graph/infer.h"
#include "graph/verify.h"
#include "runtime/packed_weight.h"
#include "runtime/rewrite/rewrite.h"
#include "runtime/session.h"

namespace fewbit::cli {
namespace {

void count_operators(const Graph& graph, std::map<std::string, int64_t>& counts) {
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    ++counts[node.domain.empty() ? node.op_type : node.domain + "." + node.op_type];
    for (const auto& [key, attribute] : node.attributes) {
      if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
        count_operators(**sub, counts);
      }
    }
  }
}

Status bind_shapes(Model& model, const std::vector<InputSpec>& specs, Inspection& out) {
  std::vector<std::pair<std::string, Dims>> shapes;
  for (ValueId id : model.graph.inputs) {
    const Value& v = model.graph.value(id);
    if (v.is_constant() || v.type.kind != ValueType::Kind::kTensor) continue;
    auto given = std::find_if(specs.begin(), specs.end(),
                              [&](const InputSpec& spec) { return spec.name == v.name; });
    if (given != specs.end()) {
      if (!given->dims) return misuse("--input {}: expected a shape, found a file", v.name);
      shapes.emplace_back(v.name, *given->dims);
      continue;
    }
    if (!v.type.shape || v.type.shape->empty() || v.type.static_dims()) continue;
    const Shape& shape = *v.type.shape;
    if (!std::all_of(shape.begin() + 1, shape.end(), [](const Dim& d) { return d.known(); })) {
      out.assumptions.push_back(fmt::format(
          "input '{}' is {}: give its shape with --input {}=... to know all shapes and costs",
          v.name, v.type.to_string(), v.name));
      continue;
    }
    shapes.emplace_back(v.name, *default_dims(v.type, 1));
    out.assumptions.push_back(fmt::format("batch of 1 for input '{}'", v.name));
  }
  Status status = bind_input_shapes(model.graph, shapes);
  if (!status.ok()) return misuse("{}", status.error().message());
  return {};
}

// The graph as the executor would have it before it chooses kernels.
Result<Graph> executed(const Model& model) {
  Graph graph = model.graph;
  FEWBIT_TRY(apply_runtime_rewrites(graph, {}));
  FEWBIT_TRY(infer_graph(graph));
  return graph;
}

bool is_code(DType type) {
  return is_integer(type) && bits_of(type) <= 16;
}

// "uint8 x int8": what the node reads, activations first.
std::string precision_of(const Graph& graph, const Node& node) {
  if (node.metadata.count(std::string(kBfloat16Weights)) != 0 && bfloat16_is_fast()) {
    return std::string(name_of(DType::kBfloat16));
  }
  std::string activation, weight;
  int64_t weight_elements = 1;  // scalars are parameters, not operands
  for (ValueId in : node.inputs) {
    if (in == kNone) continue;
    const Value& v = graph.value(in);
    if (v.is_constant()) {
      if (v.constant->elements() > weight_elements && v.constant->type() != DType::kInt64 &&
          bits_of(v.constant->type()) <= 32 && v.constant->type() != DType::kInt32) {
        weight_elements = v.constant->elements();
        weight = name_of(v.constant->type());
      }
    } else if (activation.empty() && v.type.elem != DType::kUndefined) {
      activation = name_of(v.type.elem);
    }
  }
  if (activation.empty() || weight.empty() || activation == weight) return activation;
  return activation + " x " + weight;
}

class Inspector {
 public:
  Inspector(const Model& model, const Graph* executed, Inspection& out)
      : graph_(model.graph), executed_(executed), uses_(model.graph), out_(out) {}

  void run() {
    find_derived();
    const GraphCost cost = cost_of(graph_);
    for (const NodeCost& c : cost.nodes) costs_[c.node] = c;
    seen_.assign(graph_.value_count(), false);
    for (NodeId id : graph_.order()) {
      if (derived_[static_cast<size_t>(id)]) continue;
      const Node& node = graph_.node(id);
      LayerInfo layer;
      layer.name = node.name;
      for (ValueId v : node.outputs) {
        if (v == kNone) continue;
        if (layer.name.empty()) layer.name = graph_.value(v).name;
        if (layer.output.empty()) layer.output = graph_.value(v).type.to_string();
      }
      layer.op = node.op_type;
      layer.macs = costs_[id].macs;
      layer.macs_known = costs_[id].known;
      layer.parameters = costs_[id].parameters;
      largest_elements_ = 0;
      for (ValueId v : node.inputs) add_constants(v, layer);
      execution(node, layer);
      const bool converts = node.is("QuantizeLinear") || node.is("DequantizeLinear");
      out_.bytes += layer.bytes;
      if (converts && layer.runs_as != node.op_type) continue;
      out_.layers.push_back(std::move(layer));
    }
    out_.macs = cost.macs;
    out_.parameters = cost.parameters;
    out_.unknown_macs_layers = cost.unknown_nodes;
  }

 private:
  // Nodes that only prepare constants (DequantizeLinear or Cast of a weight) are no layers: what
  // they read counts for the node that reads them.
  void find_derived() {
    derived_.assign(graph_.node_id_limit(), false);
    for (NodeId id : graph_.order()) {
      const Node& node = graph_.node(id);
      bool all = !node.inputs.empty();
      for (ValueId v : node.inputs) all = all && (v == kNone || is_fixed(v));
      derived_[static_cast<size_t>(id)] = all;
    }
  }
  bool is_fixed(ValueId v) const {
    if (graph_.value(v).is_constant()) return true;
    NodeId producer = graph_.value(v).producer;
    return producer != kNone && derived_[static_cast<size_t>(producer)];
  }

  void add_constants(ValueId v, LayerInfo& layer) {
    if (v == kNone || !is_fixed(v) || seen_[static_cast<size_t>(v)]) return;
    seen_[static_cast<size_t>(v)] = true;
    if (const Tensor* constant = graph_.constant(v)) {
      layer.bytes += constant->bytes();
      if (constant->elements() > largest_elements_) {
        largest_elements_ = constant->elements();
        layer.stored = name_of(constant->type());
      }
      return;
    }
    const NodeId producer = graph_.value(v).producer;
    layer.parameters += costs_[producer].parameters;
    if (is_decode(graph_.node(producer))) return add_packed(graph_.node(producer), layer);
    for (ValueId in : graph_.node(producer).inputs) add_constants(in, layer);
  }

  // Its parts are arrays of bytes: the format says what they are.
  void add_packed(const Node& decode, LayerInfo& layer) {
    for (ValueId in : decode.inputs) {
      const Tensor* part = graph_.constant(in);
      if (part != nullptr) layer.bytes += part->bytes();
    }
    const int64_t elements = decode.get_int("rows", 0) * decode.get_int("cols", 0);
    if (elements <= largest_elements_) return;
    largest_elements_ = elements;
    layer.stored = decode.get_string("format", "");
  }

  // Follows the value to where it, or what it was fused into, is produced when the model is run.
  void execution(const Node& node, LayerInfo& layer) const {
    if (executed_ == nullptr) return;
    ValueId v = node.output(0);
    for (int hop = 0; hop < kMaxHops && v != kNone; ++hop) {
      ValueId there = executed_->find_value(graph_.value(v).name);
      if (there != kNone && executed_->constant(there) != nullptr) {
        layer.runs_as = "constant";
        return;
      }
      if (there != kNone && executed_->value(there).producer != kNone) {
        const Node* found = &executed_->node(executed_->value(there).producer);
        // An activation that the quantizer does not absorb is a Clip on the codes.
        if (found->is("Clip") && !node.is("Clip") && is_code(executed_->value(there).type.elem)) {
          NodeId before = executed_->value(found->input(0)).producer;
          if (before != kNone) found = &executed_->node(before);
        }
        layer.runs_as = found->op_type;
        layer.precision = precision_of(*executed_, *found);
        return;
      }
      NodeId next = uses_.single_consumer(v);
      v = next == kNone ? kNone : graph_.node(next).output(0);
    }
  }

  static constexpr int kMaxHops = 12;

  const Graph& graph_;
  const Graph* executed_;
  UseMap uses_;
  Inspection& out_;
  std::map<NodeId, NodeCost> costs_;
  std::vector<bool> derived_, seen_;
  int64_t largest_elements_ = 0;
};

Inspection summarised(const Model& model) {
  Inspection out;
  std::map<std::string, int64_t> counts;
  count_operators(model.graph, counts);
  out.operators.assign(counts.begin(), counts.end());
  std::stable_sort(out.operators.begin(), out.operators.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  out.unsupported = unsupported_operators(model.graph);
  return out;
}

}  // namespace

Result<Inspection> inspect(Model& model, const std::vector<InputSpec>& shapes) {
  Inspection out = summarised(model);
  auto check = [&](Status status) {
    if (!status.ok()) out.problems.push_back(status.error().message());
    return status.ok();
  };
  const bool valid = check(verify(model));
  if (valid) {
    FEWBIT_TRY(bind_shapes(model, shapes, out));
    check(infer_graph(model.graph));
  }
  std::optional<Graph> graph;
  if (out.problems.empty() && out.unsupported.empty()) {
    Result<Graph> result = executed(model);
    if (result.ok()) {
      graph = std::move(result).value();
    } else {
      out.problems.push_back(result.error().message());
    }
  }
  for (ValueId id : model.graph.inputs) {
    const Value& v = model.graph.value(id);
    if (!v.is_constant()) out.inputs.emplace_back(v.name, v.type);
  }
  for (ValueId id : model.graph.outputs) {
    out.outputs.emplace_back(model.graph.value(id).name, model.graph.value(id).type);
  }
  Inspector(model, graph ? &*graph : nullptr, out).run();
  return out;
}

}  // namespace fewbit::cli
