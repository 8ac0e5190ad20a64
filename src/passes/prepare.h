#pragma once
// Prepare: rewrites of the float graph, one row each, in order, timed, and verified: after each
// pass the model runs a probe input, and an exact pass must leave its outputs unchanged within
// rounding, one that is not exact within its own tolerance.

#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "calib/calibrate.h"
#include "passes/absorb_bias.h"
#include "passes/equalize.h"
#include "runtime/session.h"

namespace fewbit {

struct PrepareOptions {
  int opset = 0;  ///< the model is upgraded to it; 0: it stays at its own
  bool fold_batch_norm = true;
  bool equalize = false;
  EqualizeOptions equalization;
  bool absorb_bias = false;
  BatchSource calibration;  ///< what absorb_bias measures on; needed for it alone
  int threads = 0;
};

struct PassReport {
  std::string name;
  std::string what;
  bool exact = true;  ///< within rounding, by construction
  int changed = 0;    ///< places
  double seconds = 0;
  /// Largest |difference| of an output that this pass made, over the output's largest magnitude.
  double output_error = 0;
  std::vector<std::string> notes;  ///< what it left alone, and why
};

/// `probe`: feeds of one batch. Error: names the exact pass that changed the outputs by more than
/// rounding.
Result<std::vector<PassReport>> prepare(Model& model, const PrepareOptions& options,
                                        const Feeds& probe);

/// ReduceMean over all spatial axes with keepdims is GlobalAveragePool, which has an integer form.
Result<int> name_global_pools(Graph& graph);

}  // namespace fewbit
