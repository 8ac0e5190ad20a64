#include "eval/match_values.h"

#include <algorithm>

#include "graph/cost.h"

namespace fewbit {
namespace {

// ONNX Runtime's quantizer names what a DequantizeLinear gives after the value in front of the
// quantizer.
std::string dequantized_name(const std::string& name) {
  return name + "_DequantizeLinear_Output";
}

bool exists(const Graph& graph, ValueId id) {
  return id != kNone && (graph.value(id).producer != kNone || graph.is_input(id)) &&
         !graph.value(id).is_constant();
}

bool is_activation(const Node& node) {
  return node.is("Relu") || node.is("Clip") || node.is("BatchNormalization");
}

// Only an activation reads it: the value is inside of what is computed as one.
bool inside_group(const Graph& graph, const UseMap& uses, ValueId id) {
  NodeId reader = uses.single_consumer(id);
  return reader != kNone && is_activation(graph.node(reader));
}

// What a DequantizeLinear makes of the codes that a QuantizeLinear makes of the value.
ValueId behind_quantizer(const Graph& graph, const UseMap& uses, ValueId id, bool& quantized) {
  for (NodeId reader : uses.consumers[static_cast<size_t>(id)]) {
    const Node& q = graph.node(reader);
    if (!q.is("QuantizeLinear") || q.input(0) != id) continue;
    quantized = true;
    for (NodeId next : uses.consumers[static_cast<size_t>(q.output(0))]) {
      const Node& dq = graph.node(next);
      if (dq.is("DequantizeLinear") && dq.input(0) == q.output(0)) return dq.output(0);
    }
  }
  return kNone;
}

bool is_float_tensor(const Value& v) {
  return !v.is_constant() &&
         (v.type.kind == ValueType::Kind::kUnknown ||
          (v.type.kind == ValueType::Kind::kTensor &&
           (v.type.elem == DType::kFloat32 || v.type.elem == DType::kUndefined)));
}

// Values that are computed from the graph's inputs (not from constants alone), in order.
std::vector<ValueId> data_values(const Graph& graph) {
  std::vector<bool> from_data(graph.value_count(), false);
  std::vector<ValueId> out;
  auto add = [&](ValueId id) {
    from_data[static_cast<size_t>(id)] = true;
    out.push_back(id);
  };
  for (ValueId id : graph.inputs) {
    if (!graph.value(id).is_constant()) add(id);
  }
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    bool any = false;
    for (ValueId in : node.inputs) any = any || (in != kNone && from_data[static_cast<size_t>(in)]);
    for (ValueId v : node.outputs) {
      if (any && v != kNone) add(v);
    }
  }
  return out;
}

// Values outside that the node reads: its inputs, and what its sub-graphs capture.
std::vector<ValueId> reads_of(const Graph& graph, const Node& node) {
  std::vector<ValueId> out;
  for (ValueId in : node.inputs) {
    if (in != kNone) out.push_back(in);
  }
  for (const auto& [key, attribute] : node.attributes) {
    const auto* sub = std::get_if<std::shared_ptr<Graph>>(&attribute);
    if (sub == nullptr) continue;
    for (const std::string& name : (*sub)->captures()) {
      ValueId id = graph.find_value(name);
      if (id != kNone) out.push_back(id);
    }
  }
  return out;
}

// The node that names a piece: the one with the most products or parameters, else the first one
// that works on what the piece reads.
const Node* heaviest_node(const Graph& graph) {
  const Node* found = nullptr;
  int64_t most = 0;
  for (const NodeCost& c : cost_of(graph).nodes) {
    // Without static shapes nothing is known of the products: parameters tell too.
    const int64_t weight = std::max(c.macs, c.parameters);
    const Node& node = graph.node(c.node);
    const bool reads = std::any_of(node.inputs.begin(), node.inputs.end(),
                                   [&](ValueId v) { return v != kNone && graph.is_input(v); });
    const bool first = found == nullptr && reads && !node.is("Shape");
    if (weight > most || first) found = &node;
    most = std::max(most, weight);
  }
  return found != nullptr ? found : &graph.node(graph.value(graph.outputs[0]).producer);
}

}  // namespace

std::vector<MatchedValue> match_values(const Graph& float_graph, const Graph& quantized_graph) {
  const UseMap float_uses(float_graph);
  const UseMap uses(quantized_graph);
  std::vector<MatchedValue> out;
  std::set<std::string> taken;
  auto match = [&](const std::string& name, ValueId id) {
    const std::string& found = quantized_graph.value(id).name;
    if (taken.insert(found).second) out.push_back({name, found});
  };
  for (ValueId id : data_values(float_graph)) {
    const Value& v = float_graph.value(id);
    if (!is_float_tensor(v)) continue;
    ValueId named = quantized_graph.find_value(dequantized_name(v.name));
    if (exists(quantized_graph, named)) {
      match(v.name, named);
      continue;
    }
    ValueId same = quantized_graph.find_value(v.name);
    if (!exists(quantized_graph, same) || inside_group(float_graph, float_uses, id) ||
        inside_group(quantized_graph, uses, same)) {
      continue;
    }
    bool quantized = false;
    ValueId behind = behind_quantizer(quantized_graph, uses, same, quantized);
    if (behind != kNone) {
      match(v.name, behind);
    } else if (!quantized) {
      match(v.name, same);
    }
  }
  return out;
}

Piece cut_piece(const Model& model, const std::string& value, const std::set<std::string>& cuts) {
  const Graph& graph = model.graph;
  std::set<NodeId> inside;
  std::set<ValueId> frontier;
  std::vector<ValueId> unvisited;
  auto expand = [&](ValueId id) {
    NodeId producer = graph.value(id).producer;
    FEWBIT_CHECK(producer != kNone, graph.value(id).name);
    if (!inside.insert(producer).second) return;
    for (ValueId in : reads_of(graph, graph.node(producer))) unvisited.push_back(in);
  };
  const ValueId target = graph.find_value(value);
  expand(target);
  while (!unvisited.empty()) {
    ValueId id = unvisited.back();
    unvisited.pop_back();
    if (graph.value(id).is_constant()) continue;
    const bool cut = cuts.count(graph.value(id).name) != 0;
    if (cut || graph.value(id).producer == kNone) {
      frontier.insert(id);
    } else {
      expand(id);
    }
  }
  // A cut value that a node inside gives beside others is computed, not fed.
  std::erase_if(frontier, [&](ValueId id) { return inside.count(graph.value(id).producer) != 0; });

  Piece piece;
  piece.model.opsets = model.opsets;
  piece.model.ir_version = model.ir_version;
  piece.model.path = model.path;
  Graph& out = piece.model.graph;
  std::vector<ValueId> place(graph.value_count(), kNone);
  auto value_in = [&](ValueId id) {
    ValueId& there = place[static_cast<size_t>(id)];
    if (there != kNone) return there;
    const Value& v = graph.value(id);
    there = out.add_value(v.name, v.type);
    out.value(there).constant = v.constant;
    return there;
  };
  for (ValueId id : frontier) {
    out.inputs.push_back(value_in(id));
    piece.inputs.push_back(graph.value(id).name);
  }
  for (NodeId id : graph.order()) {
    if (inside.count(id) == 0) continue;
    for (ValueId in : reads_of(graph, graph.node(id))) value_in(in);
    Node node = graph.node(id);
    for (ValueId& v : node.inputs) v = v == kNone ? kNone : value_in(v);
    for (ValueId& v : node.outputs) v = v == kNone ? kNone : value_in(v);
    out.add_node(std::move(node));
  }
  out.outputs = {place[static_cast<size_t>(target)]};

  const Node* heaviest = heaviest_node(out);
  piece.name = heaviest->name.empty() ? out.value(heaviest->output(0)).name : heaviest->name;
  piece.op = heaviest->op_type;
  return piece;
}

}  // namespace fewbit
