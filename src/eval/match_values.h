#pragma once
// Which value of a quantized model is which value of the float model it was made from, and the
// piece of the float model that lies between such values.

#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit {

struct MatchedValue {
  std::string float_name;      ///< in the float model
  std::string quantized_name;  ///< in the quantized model: as floats, behind its quantizer if any
};

/// By name: the value behind the quantizer of `V` (V_DequantizeLinear_Output, as ONNX Runtime's
/// quantizer names it, or whatever a DequantizeLinear makes of the codes of V), else V itself.
/// Values that the quantized model computes within a fused group (a convolution's output in front
/// of its activation) are no match: to watch them would take the group apart. In the order of the
/// float graph, inputs first. `float_graph` has inferred types.
std::vector<MatchedValue> match_values(const Graph& float_graph, const Graph& quantized_graph);

/// The part of a model that computes one value from others.
struct Piece {
  Model model;                      ///< its inputs are `inputs`, its output is the value
  std::vector<std::string> inputs;  ///< values at which it was cut off
  std::string name;                 ///< of the layer: its heaviest node
  std::string op;
};

/// Everything between `value` and the nearest values among `cuts` (or inputs of the graph).
Piece cut_piece(const Model& model, const std::string& value, const std::set<std::string>& cuts);

}  // namespace fewbit
