#pragma once
// The intermediate representation: ONNX semantics, nothing of quantization.
//
// A Model holds one Graph plus what a file carries around it. A Graph is a set of values and nodes,
// both addressed by small integer ids that stay valid while the graph is edited. Sub-graphs (If,
// Loop, Scan) are attributes of their node; a value of a sub-graph that is neither input, constant
// nor produced there is a capture and is resolved by name in the enclosing graph.
//
// The special members stand in graph.cpp: nearly every file of the program copies, moves or
// destroys one of these types, and would compile them anew.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/tensor.h"

namespace fewbit {

class Graph;

/// One dimension: a number, or a name ("batch"), or nothing known (value < 0 and no symbol).
struct Dim {
  int64_t value = -1;
  std::string symbol;

  static Dim of(int64_t v) { return {v, {}}; }
  static Dim named(std::string s) { return {-1, std::move(s)}; }
  bool known() const { return value >= 0; }
  bool operator==(const Dim&) const = default;
};

using Shape = std::vector<Dim>;
}  // namespace fewbit

extern template class std::vector<fewbit::Dim>;  // in graph.cpp, as the special members

namespace fewbit {

/// The type of a value. `shape` is empty (nullopt) when not even the rank is known.
struct ValueType {
  ValueType();
  ValueType(const ValueType& other);
  ValueType(ValueType&& other) noexcept;
  ValueType& operator=(const ValueType& other);
  ValueType& operator=(ValueType&& other) noexcept;
  ~ValueType();

  enum class Kind : uint8_t { kUnknown, kTensor, kSequence, kOptional };
  Kind kind = Kind::kUnknown;
  DType elem = DType::kUndefined;    ///< of the tensor, or of the tensors inside the container
  std::optional<Shape> shape;        ///< tensor only
  std::shared_ptr<ValueType> inner;  ///< sequence and optional: the type inside, if known

  static ValueType tensor(DType elem, std::optional<Shape> shape = std::nullopt);
  /// All dimensions numbers, or nullopt.
  std::optional<Dims> static_dims() const;
  /// "float32[batch, 3, 224, 224]"
  std::string to_string() const;
};

using ValueId = int32_t;
using NodeId = int32_t;
inline constexpr int32_t kNone = -1;  ///< an omitted optional input or output; no node

struct Value {
  Value();
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();

  std::string name;
  ValueType type;
  /// Set for initializers and for the outputs of folded nodes.
  std::shared_ptr<const Tensor> constant;
  NodeId producer = kNone;
  std::string doc;
  std::map<std::string, std::string> metadata;

  bool is_constant() const { return constant != nullptr; }
};

using Attribute = std::variant<int64_t, float, std::string, Tensor, std::shared_ptr<Graph>,
                               std::vector<int64_t>, std::vector<float>, std::vector<std::string>,
                               std::vector<Tensor>, std::vector<std::shared_ptr<Graph>>, ValueType>;

struct Node {
  Node();
  Node(const Node& other);
  Node(Node&& other) noexcept;
  Node& operator=(const Node& other);
  Node& operator=(Node&& other) noexcept;
  ~Node();

  std::string op_type;
  std::string domain;  ///< "" is the ONNX domain ("ai.onnx" is read as "")
  std::string name;
  std::string doc;
  int opset = 0;                 ///< the version of the domain that this node was written for
  std::vector<ValueId> inputs;   ///< kNone where an optional input is left out
  std::vector<ValueId> outputs;  ///< kNone where an optional output is left out
  std::map<std::string, Attribute, std::less<>> attributes;
  std::map<std::string, std::string> metadata;

  ValueId input(size_t i) const { return i < inputs.size() ? inputs[i] : kNone; }
  ValueId output(size_t i) const { return i < outputs.size() ? outputs[i] : kNone; }

  /// The attribute, or nullptr if it is not there.
  const Attribute* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }
  /// The attribute if it is there and of type T, else nullptr.
  template <typename T>
  const T* get(std::string_view key) const {
    return std::get_if<T>(find(key));
  }
  int64_t get_int(std::string_view key, int64_t fallback) const;
  float get_float(std::string_view key, float fallback) const;
  std::string get_string(std::string_view key, std::string_view fallback) const;
  std::vector<int64_t> get_ints(std::string_view key, std::vector<int64_t> fallback = {}) const;
  std::vector<float> get_floats(std::string_view key, std::vector<float> fallback = {}) const;
  bool is(std::string_view op, std::string_view in_domain = "") const {
    return op_type == op && domain == in_domain;
  }
  /// "Conv node 'conv1'" for messages.
  std::string label() const;
};

class Graph {
 public:
  Graph();
  Graph(const Graph& other);  ///< deep: sub-graphs are copied too; constants are shared
  Graph(Graph&& other) noexcept;
  Graph& operator=(const Graph& other);
  Graph& operator=(Graph&& other) noexcept;
  ~Graph();

  std::string name;
  std::string doc;
  std::vector<ValueId> inputs;  ///< in order; one with a constant has a default (ONNX IR < 4)
  std::vector<ValueId> outputs;
  std::map<std::string, std::string> metadata;

  // -- values
  /// Adds a value; an empty name gets a fresh unique one. Names are unique: a second value of the
  /// same name is a broken invariant (readers check with find_value first).
  ValueId add_value(std::string value_name, ValueType type = {});
  ValueId add_constant(std::string value_name, Tensor tensor);
  Value& value(ValueId id) { return values_[static_cast<size_t>(id)]; }
  const Value& value(ValueId id) const { return values_[static_cast<size_t>(id)]; }
  ValueId find_value(std::string_view value_name) const;  ///< kNone if there is none
  size_t value_count() const { return values_.size(); }   ///< ids are 0 .. value_count()-1
  /// A name that no value has yet, made from `stem`.
  std::string unique_name(std::string_view stem) const;
  /// The new name must be free. Sub-graphs that capture the value follow.
  void rename_value(ValueId id, std::string value_name);
  /// The constant tensor of a value, or nullptr (also for kNone).
  const Tensor* constant(ValueId id) const;

  // -- nodes
  /// Adds a node at the end; its outputs' producer is set. Call sort() after edits that break
  /// order.
  NodeId add_node(Node node);
  Node& node(NodeId id) { return nodes_[static_cast<size_t>(id)]; }
  const Node& node(NodeId id) const { return nodes_[static_cast<size_t>(id)]; }
  /// Removes the node; its outputs lose their producer.
  void remove_node(NodeId id);
  bool is_live(NodeId id) const { return alive_[static_cast<size_t>(id)]; }
  /// Live nodes in topological order (as of the last sort; a fresh node is last).
  const std::vector<NodeId>& order() const { return order_; }
  size_t node_count() const { return order_.size(); }
  size_t node_id_limit() const { return nodes_.size(); }  ///< ids are below this

  // -- edges
  /// Nodes that read `id`, in order, each once. Counts sub-graph captures. O(nodes); use UseMap for
  /// many.
  std::vector<NodeId> consumers(ValueId id) const;
  bool is_output(ValueId id) const;
  bool is_input(ValueId id) const;
  /// Every node input, sub-graph capture and graph output that reads `from` reads `to` instead.
  /// Graph outputs keep their name: if `from` is a graph output, `to` takes over its name.
  void replace_uses(ValueId from, ValueId to);
  void set_input(NodeId id, size_t index, ValueId value);
  /// The node gives `value`, which nothing gives yet, in place of its output `index`.
  void set_output(NodeId id, size_t index, ValueId value);

  /// Stable topological sort. Error: names a node on a cycle.
  Status sort();

  /// Names of outer values that this graph (and graphs nested in it) reads but does not define.
  std::vector<std::string> captures() const;

 private:
  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<bool> alive_;
  std::vector<NodeId> order_;
  std::unordered_map<std::string, ValueId> by_name_;
};

/// Consumers of every value at once: consumers[value] = nodes that read it, in order, each once.
/// A value that a graph output names is counted in `outputs`.
struct UseMap {
  explicit UseMap(const Graph& graph);
  std::vector<std::vector<NodeId>> consumers;
  std::vector<int> outputs;
  /// The only reader of `id` if there is exactly one and it is no graph output, else kNone.
  NodeId single_consumer(ValueId id) const;
};

struct Model {
  Model();
  Model(const Model& other);
  Model(Model&& other) noexcept;
  Model& operator=(const Model& other);
  Model& operator=(Model&& other) noexcept;
  ~Model();

  Graph graph;
  int64_t ir_version = 10;
  std::map<std::string, int> opsets;  ///< domain ("" = ONNX) -> version
  std::string producer_name;
  std::string producer_version;
  std::string domain;
  int64_t model_version = 0;
  std::string doc;
  std::map<std::string, std::string> metadata;
  std::string path;  ///< where it was read from; for messages

  int onnx_opset() const;
};

}  // namespace fewbit
