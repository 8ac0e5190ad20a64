#include "runtime/rewrite/rewrite.h"

namespace fewbit {

std::span<const RewriteRow> runtime_rewrites() {
  static constexpr RewriteRow kRows[] = {
      {"remove_dead_nodes", remove_dead_nodes, "nodes that no output needs; Identity; Dropout"},
      {"fold_batch_norm", fold_batch_norm, "batch normalisation into the weights before it"},
      {"fuse_layer_norm", fuse_layer_norm, "layer normalisation written out in primitives"},
      {"pool_before_concat", pool_before_concat, "MaxPool in front of the Concat before it"},
      {"fuse_dynamic", fuse_dynamic, "dynamically quantized products into one operator"},
      {"fuse_qdq", fuse_qdq, "quantize-dequantize patterns into integer operators"},
  };
  return kRows;
}

Status apply_runtime_rewrites(Graph& graph, const RewriteContext& context) {
  mark_bfloat16(graph);
  FEWBIT_TRY(fold_constants(graph, context, /*keep_dequantize=*/true));
  for (const RewriteRow& row : runtime_rewrites()) {
    auto changed = row.apply(graph, context);
    if (!changed.ok()) return std::move(changed).error().with_context(row.name);
  }
  return graph.sort();
}

Status sort_and_sweep(Graph& graph, const RewriteContext& context) {
  FEWBIT_TRY(graph.sort());
  FEWBIT_TRY(remove_dead_nodes(graph, context));
  return {};
}

}  // namespace fewbit
