// MaxPool(Concat(a, b)) = Concat(MaxPool(a), MaxPool(b)) where channels are joined: each channel is
// pooled by itself. Then the copy that Concat is moves what pooling has left, a quarter in most
// networks.

#include "runtime/rewrite/rewrite.h"

namespace fewbit {
namespace {

bool joins_channels(const Graph& graph, const Node& concat) {
  if (!concat.is("Concat")) return false;
  const int64_t axis = concat.get_int("axis", 1);
  const ValueType& type = graph.value(concat.output(0)).type;
  return axis == 1 || (type.shape && axis == 1 - static_cast<int64_t>(type.shape->size()));
}

bool move_one(Graph& graph, NodeId pool_id, const UseMap& uses, const RewriteContext& context) {
  const Node pool = graph.node(pool_id);
  if (!pool.is("MaxPool") || pool.output(1) != kNone) return false;
  const ValueId joined = pool.input(0);
  const NodeId concat_id = graph.value(joined).producer;
  if (concat_id == kNone || !joins_channels(graph, graph.node(concat_id))) return false;
  if (uses.single_consumer(joined) != pool_id || context.keeps(graph, joined)) return false;
  const ValueId result = pool.output(0);
  const ValueType& pooled = graph.value(result).type;
  const std::vector<ValueId> parts = graph.node(concat_id).inputs;
  for (ValueId part : parts) {
    const ValueType& type = graph.value(part).type;
    if (!type.shape || !pooled.shape || type.shape->size() != pooled.shape->size()) return false;
  }

  graph.remove_node(pool_id);
  for (size_t i = 0; i < parts.size(); ++i) {
    ValueType type = graph.value(result).type;
    (*type.shape)[1] = (*graph.value(parts[i]).type.shape)[1];
    Node part = pool;
    part.name = fmt::format("{}_part{}", pool.name, i);
    part.inputs = {parts[i]};
    const std::string stem = fmt::format("{}_part{}", graph.value(result).name, i);
    const ValueId out = graph.add_value(graph.unique_name(stem), type);
    part.outputs = {out};
    graph.add_node(std::move(part));
    graph.set_input(concat_id, i, out);
  }
  graph.set_output(concat_id, 0, result);
  return true;
}

}  // namespace

Result<int> pool_before_concat(Graph& graph, const RewriteContext& context) {
  int changed = 0;
  const UseMap uses(graph);
  const std::vector<NodeId> nodes = graph.order();
  for (NodeId id : nodes) changed += move_one(graph, id, uses, context) ? 1 : 0;
  if (changed > 0) FEWBIT_TRY(graph.sort());
  return changed;
}

}  // namespace fewbit
