// Which layers are stored in bfloat16: the question whether to compute in it is asked long after
// the weights have become float32 constants.

#include "runtime/rewrite/rewrite.h"

namespace fewbit {

int mark_bfloat16(Graph& graph) {
  int marked = 0;
  for (NodeId id : graph.order()) {
    Node& node = graph.node(id);
    const bool has_weight =
        node.is("Conv") || node.is("ConvTranspose") || node.is("Gemm") || node.is("MatMul");
    if (!has_weight || node.input(1) == kNone) continue;
    const NodeId producer = graph.value(node.input(1)).producer;
    if (producer == kNone || !graph.node(producer).is("Cast")) continue;
    const Node& cast = graph.node(producer);
    const Tensor* stored = graph.constant(cast.input(0));
    if (stored == nullptr || stored->type() != DType::kBfloat16 ||
        cast.get_int("to", 0) != static_cast<int64_t>(DType::kFloat32)) {
      continue;
    }
    node.metadata[std::string(kBfloat16Weights)] = "";
    ++marked;
  }
  return marked;
}

}  // namespace fewbit
