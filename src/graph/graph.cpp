#include "graph/graph.h"

#include <algorithm>
#include <set>

template class std::vector<fewbit::Dim>;

namespace fewbit {

ValueType::ValueType() = default;
ValueType::ValueType(const ValueType& other) = default;
ValueType::ValueType(ValueType&& other) noexcept = default;
ValueType& ValueType::operator=(const ValueType& other) = default;
ValueType& ValueType::operator=(ValueType&& other) noexcept = default;
ValueType::~ValueType() = default;

ValueType ValueType::tensor(DType elem, std::optional<Shape> shape) {
  ValueType t;
  t.kind = Kind::kTensor;
  t.elem = elem;
  t.shape = std::move(shape);
  return t;
}

std::optional<Dims> ValueType::static_dims() const {
  if (!shape) return std::nullopt;
  Dims dims;
  for (const Dim& d : *shape) {
    if (!d.known()) return std::nullopt;
    dims.push_back(d.value);
  }
  return dims;
}

std::string ValueType::to_string() const {
  switch (kind) {
    case Kind::kUnknown:
      return "unknown";
    case Kind::kSequence:
      return fmt::format("sequence({})", inner ? inner->to_string() : "unknown");
    case Kind::kOptional:
      return fmt::format("optional({})", inner ? inner->to_string() : "unknown");
    case Kind::kTensor:
      break;
  }
  std::string out(name_of(elem));
  if (!shape) return out + "[...]";
  out += '[';
  for (size_t i = 0; i < shape->size(); ++i) {
    const Dim& d = (*shape)[i];
    if (i > 0) out += ", ";
    out += d.known() ? std::to_string(d.value) : d.symbol.empty() ? "?" : d.symbol;
  }
  return out + "]";
}

Value::Value() = default;
Value::Value(const Value& other) = default;
Value::Value(Value&& other) noexcept = default;
Value& Value::operator=(const Value& other) = default;
Value& Value::operator=(Value&& other) noexcept = default;
Value::~Value() = default;

Node::Node() = default;
Node::Node(const Node& other) = default;
Node::Node(Node&& other) noexcept = default;
Node& Node::operator=(const Node& other) = default;
Node& Node::operator=(Node&& other) noexcept = default;
Node::~Node() = default;

const Attribute* Node::find(std::string_view key) const {
  auto it = attributes.find(key);
  return it == attributes.end() ? nullptr : &it->second;
}

int64_t Node::get_int(std::string_view key, int64_t fallback) const {
  const auto* v = get<int64_t>(key);
  return v != nullptr ? *v : fallback;
}

float Node::get_float(std::string_view key, float fallback) const {
  const auto* v = get<float>(key);
  return v != nullptr ? *v : fallback;
}

std::string Node::get_string(std::string_view key, std::string_view fallback) const {
  const auto* v = get<std::string>(key);
  return v != nullptr ? *v : std::string(fallback);
}

std::vector<int64_t> Node::get_ints(std::string_view key, std::vector<int64_t> fallback) const {
  const auto* v = get<std::vector<int64_t>>(key);
  return v != nullptr ? *v : fallback;
}

std::vector<float> Node::get_floats(std::string_view key, std::vector<float> fallback) const {
  const auto* v = get<std::vector<float>>(key);
  return v != nullptr ? *v : fallback;
}

std::string Node::label() const {
  std::string op = domain.empty() ? op_type : domain + "." + op_type;
  return name.empty() ? fmt::format("{} node", op) : fmt::format("{} node '{}'", op, name);
}

namespace {

// Sub-graphs are owned by their attribute: copying a graph must not share them.
void detach_subgraphs(Node& node) {
  for (auto& [key, attribute] : node.attributes) {
    if (auto* g = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
      *g = std::make_shared<Graph>(**g);
    } else if (auto* list = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute)) {
      for (auto& item : *list) item = std::make_shared<Graph>(*item);
    }
  }
}

template <typename Visit>
void for_each_subgraph(const Node& node, Visit&& visit) {
  for (const auto& [key, attribute] : node.attributes) {
    if (const auto* g = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
      visit(**g);
    } else if (const auto* list = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute)) {
      for (const auto& item : *list) visit(*item);
    }
  }
}

// Ids of the values of `graph` that the sub-graphs of `node` capture.
std::vector<ValueId> captured_values(const Graph& graph, const Node& node) {
  std::vector<ValueId> ids;
  for_each_subgraph(node, [&](const Graph& sub) {
    for (const std::string& name : sub.captures()) {
      ValueId id = graph.find_value(name);
      if (id != kNone) ids.push_back(id);
    }
  });
  return ids;
}

// Sub-graphs of `node` that capture `from` capture `to` instead. What stands in the way of the name
// moves: a capture of `to` that is there already is joined with, a local value of that name (it hid
// the outer one) gets another.
void rename_capture(Node& node, const std::string& from, const std::string& to);

bool is_capture(const Graph& graph, ValueId id) {
  const Value& v = graph.value(id);
  return v.producer == kNone && !v.is_constant() && !graph.is_input(id);
}

void rename_capture_in(Graph& sub, const std::string& from, const std::string& to) {
  const ValueId id = sub.find_value(from);
  if (id != kNone && !is_capture(sub, id)) return;  // a value of its own hides the outer one
  const std::vector<std::string> captured = sub.captures();
  if (std::find(captured.begin(), captured.end(), from) == captured.end()) return;
  ValueId there = sub.find_value(to);
  if (there != kNone && !is_capture(sub, there)) {
    sub.rename_value(there, sub.unique_name(to + "_inner"));
    there = kNone;
  }
  if (id != kNone && there == kNone) {
    sub.rename_value(id, to);  // with its captures in the graphs further in
    return;
  }
  for (NodeId n : sub.order()) {
    std::vector<ValueId>& inputs = sub.node(n).inputs;
    if (id != kNone) std::replace(inputs.begin(), inputs.end(), id, there);
    rename_capture(sub.node(n), from, to);
  }
  if (id != kNone) std::replace(sub.outputs.begin(), sub.outputs.end(), id, there);
}

void rename_capture(Node& node, const std::string& from, const std::string& to) {
  for_each_subgraph(node, [&](const Graph& sub) {
    rename_capture_in(const_cast<Graph&>(sub), from, to);  // NOLINT: the node owns it
  });
}

// Of the nodes that wait for others (missing > 0) some are on a cycle and some only behind one.
// Each waits for another that waits: going back from any of them, the first to come again is on a
// cycle.
NodeId node_on_cycle(const std::vector<std::vector<NodeId>>& readers,
                     const std::vector<int>& missing) {
  std::vector<NodeId> waits_for(missing.size(), kNone);
  NodeId at = kNone;
  for (size_t n = 0; n < missing.size(); ++n) {
    if (missing[n] == 0) continue;
    at = static_cast<NodeId>(n);
    for (NodeId reader : readers[n]) waits_for[static_cast<size_t>(reader)] = at;
  }
  std::vector<bool> seen(missing.size(), false);
  while (!seen[static_cast<size_t>(at)]) {
    seen[static_cast<size_t>(at)] = true;
    at = waits_for[static_cast<size_t>(at)];
  }
  return at;
}

}  // namespace

Graph::Graph() = default;
Graph::Graph(Graph&& other) noexcept = default;
Graph& Graph::operator=(Graph&& other) noexcept = default;
Graph::~Graph() = default;

Graph::Graph(const Graph& other)
    : name(other.name),
      doc(other.doc),
      inputs(other.inputs),
      outputs(other.outputs),
      metadata(other.metadata),
      values_(other.values_),
      nodes_(other.nodes_),
      alive_(other.alive_),
      order_(other.order_),
      by_name_(other.by_name_) {
  for (Node& n : nodes_) detach_subgraphs(n);
}

Graph& Graph::operator=(const Graph& other) {
  if (this != &other) *this = Graph(other);
  return *this;
}

ValueId Graph::add_value(std::string value_name, ValueType type) {
  if (value_name.empty()) value_name = unique_name("v");
  auto id = static_cast<ValueId>(values_.size());
  bool inserted = by_name_.emplace(value_name, id).second;
  FEWBIT_CHECK(inserted, value_name);
  Value v;
  v.name = std::move(value_name);
  v.type = std::move(type);
  values_.push_back(std::move(v));
  return id;
}

ValueId Graph::add_constant(std::string value_name, Tensor tensor) {
  Shape shape;
  for (int64_t d : tensor.dims()) shape.push_back(Dim::of(d));
  ValueId id = add_value(std::move(value_name), ValueType::tensor(tensor.type(), std::move(shape)));
  value(id).constant = std::make_shared<const Tensor>(std::move(tensor));
  return id;
}

ValueId Graph::find_value(std::string_view value_name) const {
  auto it = by_name_.find(std::string(value_name));
  return it == by_name_.end() ? kNone : it->second;
}

std::string Graph::unique_name(std::string_view stem) const {
  if (!stem.empty() && by_name_.find(std::string(stem)) == by_name_.end()) return std::string(stem);
  for (size_t i = values_.size();; ++i) {
    std::string candidate = fmt::format("{}_{}", stem, i);
    if (by_name_.find(candidate) == by_name_.end()) return candidate;
  }
}

void Graph::rename_value(ValueId id, std::string value_name) {
  Value& v = value(id);
  if (v.name == value_name) return;
  by_name_.erase(v.name);
  bool inserted = by_name_.emplace(value_name, id).second;
  FEWBIT_CHECK(inserted, value_name);
  const std::string old_name = std::exchange(v.name, std::move(value_name));
  for (NodeId n : order_) rename_capture(node(n), old_name, v.name);
}

const Tensor* Graph::constant(ValueId id) const {
  return id == kNone ? nullptr : value(id).constant.get();
}

NodeId Graph::add_node(Node node) {
  auto id = static_cast<NodeId>(nodes_.size());
  for (ValueId out : node.outputs) {
    if (out == kNone) continue;
    FEWBIT_CHECK(value(out).producer == kNone, value(out).name);
    value(out).producer = id;
  }
  nodes_.push_back(std::move(node));
  alive_.push_back(true);
  order_.push_back(id);
  return id;
}

void Graph::remove_node(NodeId id) {
  FEWBIT_CHECK(is_live(id), id);
  for (ValueId out : node(id).outputs) {
    if (out != kNone) value(out).producer = kNone;
  }
  alive_[static_cast<size_t>(id)] = false;
  order_.erase(std::find(order_.begin(), order_.end(), id));
  nodes_[static_cast<size_t>(id)] = Node{};
}

std::vector<NodeId> Graph::consumers(ValueId id) const {
  std::vector<NodeId> out;
  for (NodeId n : order_) {
    const Node& candidate = node(n);
    bool reads =
        std::find(candidate.inputs.begin(), candidate.inputs.end(), id) != candidate.inputs.end();
    if (!reads) {
      std::vector<ValueId> captured = captured_values(*this, candidate);
      reads = std::find(captured.begin(), captured.end(), id) != captured.end();
    }
    if (reads) out.push_back(n);
  }
  return out;
}

bool Graph::is_output(ValueId id) const {
  return std::find(outputs.begin(), outputs.end(), id) != outputs.end();
}

bool Graph::is_input(ValueId id) const {
  return std::find(inputs.begin(), inputs.end(), id) != inputs.end();
}

void Graph::replace_uses(ValueId from, ValueId to) {
  if (from == to) return;
  bool was_output = is_output(from);
  const std::string from_name = value(from).name;
  for (NodeId n : order_) {
    Node& candidate = node(n);
    for (ValueId& in : candidate.inputs) {
      if (in == from) in = to;
    }
    rename_capture(candidate, from_name, value(to).name);
  }
  if (!was_output) return;
  for (ValueId& out : outputs) {
    if (out == from) out = to;
  }
  // The caller's names are the interface of the model: the new value takes the old one's, unless it
  // is itself an input or output with a name to keep.
  if (is_input(to) || std::count(outputs.begin(), outputs.end(), to) > 1) return;
  rename_value(from, unique_name(from_name + "_replaced"));
  rename_value(to, from_name);
}

void Graph::set_input(NodeId id, size_t index, ValueId v) {
  Node& n = node(id);
  if (index >= n.inputs.size()) n.inputs.resize(index + 1, kNone);
  n.inputs[index] = v;
}

void Graph::set_output(NodeId id, size_t index, ValueId v) {
  ValueId& out = node(id).outputs.at(index);
  FEWBIT_CHECK(value(v).producer == kNone, value(v).name);
  if (out != kNone) value(out).producer = kNone;
  out = v;
  value(v).producer = id;
}

Status Graph::sort() {
  std::vector<int> missing(nodes_.size(), 0);
  std::vector<std::vector<NodeId>> readers(nodes_.size());
  for (NodeId n : order_) {
    std::vector<ValueId> reads = node(n).inputs;
    std::vector<ValueId> captured = captured_values(*this, node(n));
    reads.insert(reads.end(), captured.begin(), captured.end());
    for (ValueId in : reads) {
      if (in == kNone || value(in).producer == kNone) continue;
      readers[static_cast<size_t>(value(in).producer)].push_back(n);
      ++missing[static_cast<size_t>(n)];
    }
  }
  // Among the ready nodes the one that came first in the old order goes first: stable.
  std::vector<size_t> rank(nodes_.size(), 0);
  for (size_t i = 0; i < order_.size(); ++i) rank[static_cast<size_t>(order_[i])] = i;
  std::set<std::pair<size_t, NodeId>> ready;
  for (NodeId n : order_) {
    if (missing[static_cast<size_t>(n)] == 0) ready.emplace(rank[static_cast<size_t>(n)], n);
  }
  std::vector<NodeId> sorted;
  while (!ready.empty()) {
    NodeId n = ready.begin()->second;
    ready.erase(ready.begin());
    sorted.push_back(n);
    for (NodeId reader : readers[static_cast<size_t>(n)]) {
      if (--missing[static_cast<size_t>(reader)] == 0) {
        ready.emplace(rank[static_cast<size_t>(reader)], reader);
      }
    }
  }
  if (sorted.size() != order_.size()) {
    return bad_input("the graph has a cycle through {}",
                     node(node_on_cycle(readers, missing)).label());
  }
  order_ = std::move(sorted);
  return {};
}

std::vector<std::string> Graph::captures() const {
  std::set<std::string> names;
  auto consider = [&](ValueId id) {
    if (id == kNone) return;
    const Value& v = value(id);
    if (v.producer == kNone && !v.is_constant() && !is_input(id)) names.insert(v.name);
  };
  for (NodeId n : order_) {
    for (ValueId in : node(n).inputs) consider(in);
    for_each_subgraph(node(n), [&](const Graph& sub) {
      for (const std::string& inner : sub.captures()) {
        ValueId id = find_value(inner);
        if (id == kNone) {
          names.insert(inner);
        } else {
          consider(id);
        }
      }
    });
  }
  for (ValueId out : outputs) consider(out);
  return {names.begin(), names.end()};
}

UseMap::UseMap(const Graph& graph)
    : consumers(graph.value_count()), outputs(graph.value_count(), 0) {
  for (NodeId n : graph.order()) {
    std::vector<ValueId> reads = graph.node(n).inputs;
    std::vector<ValueId> captured = captured_values(graph, graph.node(n));
    reads.insert(reads.end(), captured.begin(), captured.end());
    for (ValueId in : reads) {
      if (in == kNone) continue;
      auto& list = consumers[static_cast<size_t>(in)];
      if (list.empty() || list.back() != n) list.push_back(n);
    }
  }
  for (ValueId out : graph.outputs) ++outputs[static_cast<size_t>(out)];
}

NodeId UseMap::single_consumer(ValueId id) const {
  const auto& list = consumers[static_cast<size_t>(id)];
  return list.size() == 1 && outputs[static_cast<size_t>(id)] == 0 ? list.front() : kNone;
}

Model::Model() = default;
Model::Model(const Model& other) = default;
Model::Model(Model&& other) noexcept = default;
Model& Model::operator=(const Model& other) = default;
Model& Model::operator=(Model&& other) noexcept = default;
Model::~Model() = default;

int Model::onnx_opset() const {
  auto it = opsets.find("");
  return it == opsets.end() ? 1 : it->second;
}

}  // namespace fewbit
