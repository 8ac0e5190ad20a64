#pragma once
// Prepare: exact rewrites of the float graph, one row each, in order, timed, and verified: after
// each pass the model runs a probe input, and an exact pass must leave its outputs unchanged within
// rounding.

#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "passes/equalize.h"
#include "runtime/session.h"

namespace fewbit {

struct PrepareOptions {
  bool fold_batch_norm = true;
  bool equalize = false;
  EqualizeOptions equalization;
  int threads = 0;
};

struct PassReport {
  std::string name;
  std::string what;
  int changed = 0;  ///< places
  double seconds = 0;
  double output_error = 0;  ///< largest |difference| of an output over its largest magnitude
};

/// `probe`: feeds of one batch. Error: names the pass that changed the outputs by more than
/// rounding.
Result<std::vector<PassReport>> prepare(Model& model, const PrepareOptions& options,
                                        const Feeds& probe);

/// ReduceMean over all spatial axes with keepdims is GlobalAveragePool, which has an integer form.
Result<int> name_global_pools(Graph& graph);

}  // namespace fewbit
