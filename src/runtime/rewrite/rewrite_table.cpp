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

}  // namespace fewbit
