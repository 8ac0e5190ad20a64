#pragma once
// An operator as the executor sees it: one row {domain, type, since, run} in one table.
//
// `run` is the plain form: it reads whole row-major tensors, checks what the verifier cannot know
// (types, shapes, values), allocates its outputs and fills them. It is what the conformance tests
// run and what everything fast is compared with. Fast forms (fused, blocked, int8) are steps that
// the lowering puts in place of nodes (runtime/lower/); an operator without one runs its plain
// form.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/tensor.h"
#include "graph/graph.h"

namespace fewbit {

/// What a graph value holds at run time: nothing (an empty optional), a tensor, or a sequence.
class RuntimeValue {
 public:
  RuntimeValue();
  RuntimeValue(Tensor tensor);  // NOLINT: implicit
  RuntimeValue(const RuntimeValue& other);
  RuntimeValue(RuntimeValue&& other) noexcept;
  RuntimeValue& operator=(const RuntimeValue& other);
  RuntimeValue& operator=(RuntimeValue&& other) noexcept;
  ~RuntimeValue();
  static RuntimeValue sequence(std::vector<RuntimeValue> items);

  bool empty() const { return !is_tensor() && !is_sequence(); }
  bool is_tensor() const { return tensor_.defined(); }
  bool is_sequence() const { return items_ != nullptr; }
  const Tensor& tensor() const { return tensor_; }
  Tensor& tensor() { return tensor_; }
  const std::vector<RuntimeValue>& items() const { return *items_; }

 private:
  Tensor tensor_;
  std::shared_ptr<std::vector<RuntimeValue>> items_;
};

/// Runs a sub-graph of the current node with these inputs; captures are resolved by the executor.
using SubgraphRunner = std::function<Result<std::vector<RuntimeValue>>(
    const Graph& graph, std::vector<RuntimeValue> inputs)>;

/// Gives the memory of an output: the executor may hand out a planned place. Contents undefined.
using OutputAllocator = std::function<Tensor(size_t index, DType type, const Dims& dims)>;

class OpContext {
 public:
  OpContext(const Node& node, std::vector<RuntimeValue> inputs);
  ~OpContext();

  const Node& node() const { return node_; }
  int opset() const { return node_.opset; }

  /// True if input i was given (not left out, not past the end, not an empty optional).
  bool has(size_t i) const { return i < inputs_.size() && !inputs_[i].empty(); }
  size_t input_count() const { return inputs_.size(); }
  /// Tensor input i. The executor has checked against the schema that required inputs are there;
  /// for an optional one ask has(i) first.
  const Tensor& in(size_t i) const;
  const RuntimeValue& in_value(size_t i) const { return inputs_[i]; }

  size_t output_count() const { return outputs_.size(); }
  /// True if somebody reads output i.
  bool wants(size_t i) const { return i < node_.outputs.size() && node_.outputs[i] != kNone; }
  /// Allocates output i (contents undefined) and returns it for filling.
  Tensor& out(size_t i, DType type, const Dims& dims);
  /// Sets output i to an existing tensor (Identity, Reshape: may share the input's memory) or
  /// value.
  void set_out(size_t i, RuntimeValue value);
  std::vector<RuntimeValue>& outputs() { return outputs_; }

  OutputAllocator allocator;    ///< may be empty
  SubgraphRunner run_subgraph;  ///< set by the executor; needed by If, Loop, Scan, SequenceMap
  uint64_t seed = 0;            ///< for RandomNormal and friends without a seed attribute

 private:
  const Node& node_;
  std::vector<RuntimeValue> inputs_;
  std::vector<RuntimeValue> outputs_;
};

using OpFunction = Status (*)(OpContext&);

/// One operator from one version on. Several rows of one operator may exist: the one with the
/// largest `since` that is not above the node's opset is used.
struct OpRow {
  std::string_view domain;
  std::string_view op_type;
  int since;
  OpFunction run;
  bool deterministic = true;  ///< false: never folded into a constant (Random*)
};

/// All rows: the concatenation of the tables of runtime/ops/ (op_table.cpp).
std::span<const OpRow> op_table();

/// The row for a node, or nullptr if the operator (at that version) is not supported.
const OpRow* find_op(std::string_view domain, std::string_view op_type, int opset);
inline const OpRow* find_op(const Node& node) {
  return find_op(node.domain, node.op_type, node.opset);
}

}  // namespace fewbit
