#pragma once
// Rewrites that make a graph faster to execute and leave its outputs unchanged (within rounding).
// One file and one row each; the session applies the table in order before it lowers the graph.

#include <set>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit {

struct RewriteContext {
  /// Values that somebody watches: they must still be produced under their name.
  std::set<std::string> keep;
  uint64_t seed = 0;

  bool keeps(const Graph& graph, ValueId id) const {
    return id != kNone && keep.count(graph.value(id).name) != 0;
  }
};

/// Returns the number of places changed.
using RewriteFunction = Result<int> (*)(Graph& graph, const RewriteContext& context);

struct RewriteRow {
  std::string_view name;
  RewriteFunction apply;
  std::string_view what;
};

/// In the order in which they run.
std::span<const RewriteRow> runtime_rewrites();

/// All of them, constants folded before them; sorted. Errors name the rewrite.
Status apply_runtime_rewrites(Graph& graph, const RewriteContext& context);

/// What a rewrite that fused nodes ends with: sorts, then removes what only they read.
Status sort_and_sweep(Graph& graph, const RewriteContext& context);

/// Nodes whose inputs are all constants (and Shape/Size of static shapes) become constants.
/// DequantizeLinear of constants is left alone while `keep_dequantize` is true: int8 patterns need
/// it.
Result<int> fold_constants(Graph& graph, const RewriteContext& context, bool keep_dequantize);
/// One node of the above; true if it was folded. Its constant inputs must be known.
Result<bool> fold_node(Graph& graph, NodeId id, const RewriteContext& context,
                       bool keep_dequantize);

/// Conv/ConvTranspose/Gemm followed by BatchNormalization, or by per-channel Mul/Add of constants:
/// the affine map goes into weights and bias. `exact within rounding`.
Result<int> fold_batch_norm(Graph& graph, const RewriteContext& context);

/// Layer normalisation written out in primitive operators becomes LayerNormalization.
Result<int> fuse_layer_norm(Graph& graph, const RewriteContext& context);

/// MaxPool behind a Concat of channels goes in front of it: less is copied.
Result<int> pool_before_concat(Graph& graph, const RewriteContext& context);

/// Quantize-dequantize patterns become integer operators (runtime/qdq/patterns.h).
Result<int> fuse_qdq(Graph& graph, const RewriteContext& context);

/// Products whose input is quantized at run time, per tensor or per row, become QDynamicMatMul.
Result<int> fuse_dynamic(Graph& graph, const RewriteContext& context);

/// The key under which mark_bfloat16 leaves its mark in a node's metadata.
inline constexpr std::string_view kBfloat16Weights = "ai.fewbit.bfloat16_weights";

/// Marks every Conv, ConvTranspose, Gemm and MatMul whose weight (input 1) is stored as bfloat16
/// with a Cast to float32 behind it. Runs before constants are folded, which removes the Cast; the
/// mark stays when other rewrites give the node new weights.
int mark_bfloat16(Graph& graph);

/// Removes nodes that no output depends on, and Identity / inference Dropout nodes.
Result<int> remove_dead_nodes(Graph& graph, const RewriteContext& context);

}  // namespace fewbit
