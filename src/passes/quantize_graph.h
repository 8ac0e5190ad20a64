#pragma once
// Writes the quantizers into a graph: weights as codes behind DequantizeLinear, activations through
// QuantizeLinear -> DequantizeLinear, biases as int32 (QDQ, the form that every consumer reads).

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "calib/calibrate.h"
#include "graph/graph.h"
#include "methods/round_to_nearest.h"
#include "runtime/qdq/qdq.h"
#include "passes/placement.h"

namespace fewbit {

/// A layer whose weight has codes: what the later passes (bias correction, learned rounding) and
/// the report need to know about it.
struct QuantizedLayer {
  std::string name;
  std::string op_type;
  NodeId node = kNone;          ///< in the quantized graph
  std::string input;            ///< float value that it reads: name in the float graph
  ValueId input_codes = kNone;  ///< its codes in the quantized graph; kNone: float activations
  QuantParams input_params;
  Tensor weight;                    ///< float32, as in the float graph
  ValueId weight_codes = kNone;     ///< int8 constant; kNone: weights in few bits,
  Tensor integers;                  ///< whose integers these are
  std::vector<float> weight_scale;  ///< [rows] or [1]
  std::vector<int32_t> weight_zero;
  Tensor bias;                 ///< float32 [rows], zeros if there was none
  ValueId bias_codes = kNone;  ///< int32, or float32 where the input has no codes or the weights
                               ///< lie in few bits
  double weight_sqnr_db = 0;
  int64_t rows = 0;  ///< output channels
};

/// Ranges of the values with an own quantizer, by name.
using Ranges = std::map<std::string, Range>;

struct QuantizedGraph {
  Graph graph;
  std::vector<QuantizedLayer> layers;
};

/// `graph` has float weights and inferred types. Every value in placement.quantized that is its own
/// source must be in `ranges` (static activations).
Result<QuantizedGraph> quantize_graph(const Graph& graph, const Placement& placement,
                                      const Ranges& ranges, const QuantScheme& scheme);

/// The quantizer that covers `range`: exact zero, scale never 0.
QuantParams params_for(const Range& range, DType type, bool symmetric);

/// Names of what stands behind a quantized value `name` (ONNX Runtime's convention).
std::string codes_name(const std::string& name);
std::string dequantized_name(const std::string& name);

}  // namespace fewbit
