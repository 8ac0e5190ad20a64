#pragma once
// What `fewbit inspect` finds out about a model, apart from how it is printed.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/common.h"
#include "graph/graph.h"

namespace fewbit::cli {

struct LayerInfo {
  std::string name;  ///< of the node, or of its first output
  std::string op;
  std::string output;     ///< type and shape of the first output
  std::string runs_as;    ///< the operator that does its work when the model is run; "" if unknown
  std::string precision;  ///< "float32", "uint8 x int8": of activations and weights as computed
  std::string stored;     ///< element type or format of its largest constant, "" without constants
  int64_t macs = 0;
  bool macs_known = true;
  int64_t parameters = 0;
  int64_t bytes = 0;  ///< of the constants that it is the first to read
};

struct Inspection {
  std::vector<std::pair<std::string, int64_t>> operators;  ///< most frequent first, sub-graphs too
  std::vector<std::pair<std::string, ValueType>> inputs, outputs;
  std::vector<LayerInfo> layers;  ///< nodes that compute on data, in order
  int64_t macs = 0;
  int64_t unknown_macs_layers = 0;
  int64_t parameters = 0;
  int64_t bytes = 0;                     ///< of all constants
  std::vector<std::string> unsupported;  ///< operators
  std::vector<std::string> problems;     ///< other reasons why it cannot be run
  std::vector<std::string> assumptions;  ///< dimensions that were given a number unasked
};

/// Binds the shapes given; an input whose only unknown dimension is its first gets 1 there.
/// Infers all shapes in `model`. Errors: a shape that contradicts the model (kMisuse).
Result<Inspection> inspect(Model& model, const std::vector<InputSpec>& shapes);

}  // namespace fewbit::cli
