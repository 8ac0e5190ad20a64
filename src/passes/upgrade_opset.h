#pragma once
// Rewrites a model of an older ONNX operator set to a newer one, with the same meaning: quantizers
// per channel need opset 13, 16-bit and 4-bit ones 21, 2-bit ones 25.
//
// Most new versions of operators only allow more types or add an optional input or attribute; such
// nodes are taken as they are. Where the meaning or the place of an argument changed, a row of the
// table in the .cpp rewrites the node (source: the ONNX change log). What has no equivalent is
// refused by name, and nothing is changed then.

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit {

/// Opsets from which models can be upgraded.
inline constexpr int kOldestUpgradable = 7;

/// Brings every node of the ONNX domain, sub-graphs included, from the model's opset (at least
/// kOldestUpgradable) to `target` (13 to 25), and raises the IR version to what `target` asks for.
/// Types must be inferred. Initializers that only IR versions below 4 listed as graph inputs are
/// inputs no longer. Returns the number of nodes that were rewritten. Errors: kUnsupported, names
/// the node and what has no equivalent.
Result<int> upgrade_opset(Model& model, int target);

}  // namespace fewbit
