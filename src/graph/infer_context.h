#pragma once
// What a row of the inference table works with: one node's inputs as far as they are known, and its
// outputs to be set. Also the scopes by which sub-graphs see the values of the graphs around them.

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "graph/graph.h"
#include "graph/infer.h"
#include "graph/infer/dims.h"
#include "graph/infer/partial.h"

namespace fewbit {

/// A set of element types: bit t is DType t.
using TypeSet = uint32_t;
constexpr TypeSet type_bit(DType t) {
  return TypeSet{1} << static_cast<int>(t);
}
template <typename... T>
constexpr TypeSet types(T... t) {
  return (type_bit(t) | ...);
}
inline constexpr TypeSet kFloats =
    types(DType::kFloat16, DType::kFloat32, DType::kFloat64, DType::kBfloat16);
inline constexpr TypeSet kIntegers =
    types(DType::kInt8, DType::kInt16, DType::kInt32, DType::kInt64, DType::kUint8, DType::kUint16,
          DType::kUint32, DType::kUint64);
inline constexpr TypeSet kNumbers = kFloats | kIntegers;
inline constexpr TypeSet kBools = types(DType::kBool);
inline constexpr TypeSet kIndices = types(DType::kInt32, DType::kInt64);

/// How much work sub-graph re-inference may still do: nested loops must not multiply without bound.
struct InferBudget {
  int reruns = 64;
  int depth = 0;
};
inline constexpr int kMaxInferDepth = 64;

/// What is known of the values of one graph beyond their types.
struct InferScope {
  Graph& graph;
  InferBudget& budget;
  bool carry_values = false;  ///< false: only constants have values (infer_node)
  InferScope* outer = nullptr;
  std::unordered_map<ValueId, infer::PartialValue> partials = {};
  std::unordered_map<ValueId, std::shared_ptr<const Tensor>> captured_constants = {};
};

/// The inferred outputs of a sub-graph.
struct SubgraphOutputs {
  std::vector<ValueType> types;
  std::vector<std::optional<infer::PartialValue>> values;
};

class InferContext {
 public:
  InferContext(InferScope& scope, const Node& node)
      : scope_(scope),
        node_(node),
        out_types_(node.outputs.size()),
        out_values_(node.outputs.size()),
        in_values_(node.inputs.size()) {}

  const Node& node() const { return node_; }
  int opset() const { return node_.opset; }

  // -- inputs
  size_t input_count() const { return node_.inputs.size(); }
  bool has(size_t i) const { return node_.input(i) != kNone; }
  /// kUnknown if left out.
  const ValueType& type(size_t i) const;
  /// kUndefined if left out, unknown, or no tensor.
  DType elem(size_t i) const;
  /// nullptr if not even the rank is known, left out, or no tensor.
  const Shape* shape(size_t i) const;
  bool has_shape(size_t i) const { return shape(i) != nullptr; }
  /// -1 if unknown.
  int64_t rank(size_t i) const;
  const Tensor* constant(size_t i) const;
  /// The elements as far as known (constants, and values carried along); nullptr if nothing is.
  const infer::PartialValue* value(size_t i) const;
  /// All elements as integers, or nullopt. Float tensors are nullopt.
  std::optional<std::vector<int64_t>> ints(size_t i) const;
  /// The only element as an integer.
  std::optional<int64_t> int_scalar(size_t i) const;
  std::optional<std::vector<double>> reals(size_t i) const;

  // -- attributes
  /// A required attribute of that type, or an error that names it.
  Result<int64_t> required_int(std::string_view key) const;
  Result<std::vector<int64_t>> required_ints(std::string_view key) const;
  Result<std::string> required_string(std::string_view key) const;
  Result<std::shared_ptr<Graph>> required_graph(std::string_view key) const;
  /// The element type that an integer attribute names; `fallback` if it is not there.
  Result<DType> dtype_attribute(std::string_view key, DType fallback) const;
  /// `axis` counted from the back if negative; error if outside [-rank, rank).
  Result<int64_t> normalize_axis(int64_t axis, int64_t rank, std::string_view what = "axis") const;
  Result<std::vector<int64_t>> normalize_axes(std::vector<int64_t> axes, int64_t rank) const;

  // -- outputs
  size_t output_count() const { return node_.outputs.size(); }
  bool wants(size_t i) const { return node_.output(i) != kNone; }
  void set(size_t i, DType elem, std::optional<Shape> shape);
  void set_type(size_t i, ValueType type);
  void set_value(size_t i, infer::PartialValue value);
  const ValueType& out_type(size_t i) const { return out_types_[i]; }
  const std::optional<infer::PartialValue>& out_value(size_t i) const { return out_values_[i]; }

  // -- checks; all are satisfied by what is unknown
  /// "input 1 'w' has type float32[3], expected ..."
  template <typename... Args>
  Error fail(size_t i, fmt::format_string<Args...> format, Args&&... args) const {
    return expected(i, format, fmt::make_format_args(args...));
  }
  std::string input_label(size_t i) const;
  Status check_elem(size_t i, TypeSet allowed) const;
  Status check_same_elem(size_t i, size_t j) const;
  Status check_rank(size_t i, int64_t expected) const;
  Status check_min_rank(size_t i, int64_t expected) const;
  /// Dimension `axis` of input i must be able to be `expected`.
  Status check_dim(size_t i, size_t axis, const Dim& expected) const;

  /// Infers a sub-graph of this node with these input types (and values). With `fresh`, shapes that
  /// an earlier run left on its values are forgotten first.
  Result<SubgraphOutputs> infer_subgraph(
      Graph& graph, const std::vector<ValueType>& input_types,
      const std::vector<std::optional<infer::PartialValue>>& input_values = {});
  InferBudget& budget() { return scope_.budget; }

 private:
  Error expected(size_t i, fmt::string_view format, fmt::format_args args) const;

  InferScope& scope_;
  const Node& node_;
  std::vector<ValueType> out_types_;
  std::vector<std::optional<infer::PartialValue>> out_values_;
  mutable std::vector<std::optional<infer::PartialValue>> in_values_;  // constants, converted once
};

/// Intersection of two descriptions of one value; nullopt if they contradict each other. Symbols of
/// `a` win over those of `b`.
std::optional<ValueType> merge_types(const ValueType& a, const ValueType& b);
/// What holds of a value that is described by one or the other (the branches of If).
ValueType union_types(const ValueType& a, const ValueType& b);

/// Runs the row's function and writes the outputs of one node of scope.graph.
Status infer_in_scope(InferScope& scope, NodeId id);

/// Forgets the shapes of every value a node of `graph` produces, and in its sub-graphs those of
/// their inputs, too; types of elements stay.
void clear_shapes(Graph& graph, bool is_subgraph);

}  // namespace fewbit
