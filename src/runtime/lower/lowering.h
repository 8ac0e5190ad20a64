#pragma once
// Lowering: from the rewritten, shape-inferred graph to the steps of a plan.
//
// One row per operator that has a fast form. A row's function looks at one node and either adds
// steps for it or declines (the node then runs its plain operator). Layouts are chosen greedily in
// node order: a function asks for its inputs in the layout that it wants and says in which layout
// it leaves its outputs; a conversion appears only where the two differ, once per value. Between
// layers that compute in bfloat16 a float32 value may exist as bfloat16 only: it is then rounded
// once, by the layer that produces it, and read without a conversion.

#include <compare>
#include <map>
#include <memory>
#include <set>
#include <string_view>

#include "runtime/plan.h"

namespace fewbit {

class Lowering {
 public:
  /// bfloat16: layers whose weights are stored in it compute in it (runtime/rewrite/rewrite.h).
  Lowering(const Graph& graph, int threads, uint64_t seed, bool bfloat16 = false);

  const Graph& graph() const { return graph_; }
  int threads() const { return threads_; }
  const UseMap& uses() const { return uses_; }

  /// All dimensions and the element type of the value are known.
  bool is_static(ValueId id) const;
  /// Only for static values.
  const Dims& dims(ValueId id) const;
  DType type(ValueId id) const { return graph_.value(id).type.elem; }

  /// The layout that the value exists in (the first it was produced in).
  Layout layout(ValueId id) const;
  /// The slot that holds the value in this layout; adds a conversion if there is none yet.
  SlotId use(ValueId id, Layout layout) { return use(id, layout, type(id)); }
  /// The same for a float32 value that is wanted as bfloat16.
  SlotId use(ValueId id, Layout layout, DType stored);
  /// A new slot for a node's output.
  SlotId define(ValueId id, Layout layout) { return define(id, layout, type(id)); }
  /// The same for a float32 value that is left as bfloat16.
  SlotId define(ValueId id, Layout layout, DType stored);

  /// The node has bfloat16 weights and this plan computes with them as they are.
  bool computes_in_bfloat16(const Node& node) const;
  /// Every reader of the value would rather have it as bfloat16.
  bool wanted_as_bfloat16(ValueId id) const;
  /// A constant that exists only in the plan (a table, packed weights' view).
  SlotId add_constant(std::string name, Tensor tensor);
  /// Makes `id` the same bytes as `source` (both plain). Not for graph outputs.
  void alias(ValueId id, SlotId source);

  /// True if somebody watches the value: it must exist, so nothing may be fused over it.
  bool is_watched(ValueId id) const { return watch_names_.count(graph_.value(id).name) != 0; }
  /// True if the value exists already: an input, a constant, or produced by an earlier node.
  bool is_available(ValueId id) const;
  /// The only node that reads `id`, if it may be fused with the producer: `id` is no graph output,
  /// not watched, and the reader is not covered yet. Else kNone.
  NodeId fusable_reader(ValueId id) const;
  /// The node's work is done by another node's step.
  void cover(NodeId id) { covered_.insert(id); }

  /// Adds a step for `node`: the label and operator are filled in; reads and writes are the step's.
  void add(std::unique_ptr<Step> step, const Node& node);

  /// The plan, with watched values and outputs attached.
  Result<Plan> build(const std::vector<std::string>& watched, bool optimize);

 private:
  Status lower_node(NodeId id, bool optimize);
  void add_plain_step(const Node& node);
  void attach_inputs();
  void attach_watched(ValueId id);

  /// What a value exists in.
  struct Form {
    Layout layout = Layout::kPlain;
    DType stored = DType::kUndefined;
    auto operator<=>(const Form&) const = default;
  };
  Form first_form(ValueId id) const;
  SlotId use_constant(ValueId id, Form wanted);

  const Graph& graph_;
  int threads_;
  uint64_t seed_;
  bool bfloat16_;
  UseMap uses_;
  Plan plan_;
  std::vector<std::optional<Dims>> dims_;
  std::map<std::pair<ValueId, Form>, SlotId> slots_;
  std::vector<Form> first_form_;  ///< kUndefined: not produced yet
  std::set<std::string> watch_names_;
  std::set<NodeId> covered_;
  std::set<ValueId> shown_;  ///< watched values that have their place in the plan
};

/// Adds steps for the node and returns true, or declines with false. Errors only for bad models.
using LowerFunction = Result<bool> (*)(Lowering& lowering, const Node& node);

struct LowerRow {
  std::string_view domain;
  std::string_view op_type;
  LowerFunction lower;
};

/// All rows (lower/lower_table.cpp); for one operator they are tried in order.
std::span<const LowerRow> lower_table();

}  // namespace fewbit
