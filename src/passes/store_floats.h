#pragma once
// float32 weights stored in 16 bits: half the file, the same arithmetic.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit {

struct StoredTensor {
  std::string name;
  int64_t elements = 0;
  int64_t became_zero = 0;    ///< not zero before
  double relative_error = 0;  ///< sqrt(sum (f - h)^2 / sum f^2)
};

/// Stores every float32 weight as float16 or bfloat16 (`type`) with a Cast to float32 behind it,
/// under the weight's name; sub-graphs too. Weights are constants of at least 16 elements with two
/// or more dimensions above 1: biases, normalization parameters and the scales of quantizers stay,
/// and so do constants that are inputs (defaults) or outputs of the graph.
/// Errors: a value too large for the type (kBadInput: names the tensor, says how many); bfloat16
/// in a model below opset 13, whose Cast does not know it (kUnsupported).
Result<std::vector<StoredTensor>> store_floats(Model& model, DType type);

}  // namespace fewbit
