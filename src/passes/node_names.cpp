#include "passes/node_names.h"

#include <set>

namespace fewbit {

void make_node_names_unique(Graph& graph) {
  std::set<std::string> names;
  for (NodeId id : graph.order()) names.insert(graph.node(id).name);
  std::set<std::string> taken;
  for (NodeId id = 0; id < static_cast<NodeId>(graph.node_id_limit()); ++id) {
    if (!graph.is_live(id)) continue;
    std::string& name = graph.node(id).name;
    if (name.empty() || taken.insert(name).second) continue;
    const std::string stem = name;
    for (int i = 2; !names.insert(name).second; ++i) name = fmt::format("{}_{}", stem, i);
    taken.insert(name);
  }
}

}  // namespace fewbit
