#include <algorithm>

#include "runtime/rewrite/rewrite.h"

namespace fewbit {
namespace {

// Identity, and Dropout as inference runs it (nobody reads the mask, not in training mode).
bool passes_through(const Graph& graph, const Node& node) {
  if (node.is("Identity")) return true;
  if (!node.is("Dropout") || node.output(1) != kNone) return false;
  if (node.opset < 12) return true;
  if (node.input(2) == kNone) return true;
  const Tensor* training = graph.constant(node.input(2));
  return training != nullptr && training->elements() == 1 && !training->data<bool>()[0];
}

}  // namespace

Result<int> remove_dead_nodes(Graph& graph, const RewriteContext& context) {
  int removed = 0;
  const std::vector<NodeId> order = graph.order();
  for (NodeId id : order) {
    const Node& node = graph.node(id);
    if (!passes_through(graph, node) || node.input(0) == kNone) continue;
    ValueId in = node.input(0);
    ValueId out = node.output(0);
    // A watched name, or an output that is at once an input or constant, must stay a node.
    if (context.keeps(graph, out)) continue;
    bool renames = graph.is_output(out);
    if (renames &&
        (graph.value(in).producer == kNone || graph.is_output(in) || context.keeps(graph, in))) {
      continue;
    }
    graph.remove_node(id);
    graph.replace_uses(out, in);
    ++removed;
  }
  std::vector<int> readers(graph.value_count(), 0);
  UseMap uses(graph);
  for (size_t v = 0; v < readers.size(); ++v) {
    readers[v] = static_cast<int>(uses.consumers[v].size()) + uses.outputs[v];
    if (context.keeps(graph, static_cast<ValueId>(v))) ++readers[v];
  }
  const std::vector<NodeId> remaining = graph.order();
  for (auto it = remaining.rbegin(); it != remaining.rend(); ++it) {
    const Node& node = graph.node(*it);
    bool live = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId out) {
      return out != kNone && readers[static_cast<size_t>(out)] > 0;
    });
    if (live) continue;
    std::vector<ValueId> reads = node.inputs;
    std::sort(reads.begin(), reads.end());
    reads.erase(std::unique(reads.begin(), reads.end()), reads.end());
    for (ValueId in : reads) {
      if (in != kNone) --readers[static_cast<size_t>(in)];
    }
    graph.remove_node(*it);
    ++removed;
  }
  return removed;
}

}  // namespace fewbit
