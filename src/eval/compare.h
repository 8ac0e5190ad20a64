#pragma once
// A quantized model against its float original, layer by layer, on real data: how far each layer's
// output is from the float model's (what it inherits included), and how much of that is born in the
// layer itself.
//
// Born error: the float layer is run on what the quantized layer reads, and its output is compared
// with the quantized layer's. Streaming: memory does not grow with the number of samples.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "data/dataset.h"
#include "graph/graph.h"

namespace fewbit {

struct CompareOptions {
  int64_t samples = 64;  ///< at most; 0: all of the data set
  int threads = 0;
  std::string progress = "comparing";
};

struct LayerComparison {
  std::string name;  ///< of the layer in the float model
  std::string op;
  std::string value;       ///< its output
  double sqnr_db = 0;      ///< 10 log10(sum f^2 / sum (f - q)^2) of the output
  double own_sqnr_db = 0;  ///< the same of the error born here; NaN if it could not be measured
  double cosine = 0;
  /// The quantized model keeps this value multiplied by a factor per channel (cross-layer
  /// equalization does that); the factors were measured and taken out.
  bool rescaled = false;
};

struct Comparison {
  int64_t samples = 0;
  std::vector<LayerComparison> layers;   ///< most born error first
  std::vector<LayerComparison> outputs;  ///< of the model, in order; name = value
};

/// Errors: a model that cannot be run or does not take the data; no value in common.
Result<Comparison> compare(const Model& float_model, const Model& quantized_model,
                           const DataSet& data, const CompareOptions& options = {});

}  // namespace fewbit
