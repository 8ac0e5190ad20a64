#pragma once
// The whole quantization run: load -> prepare -> calibrate -> plan -> quantize -> verify -> save.

#include <string>

#include "base/result.h"
#include "flow/recipe.h"
#include "graph/graph.h"
#include "report/quantize_report.h"

namespace fewbit {

/// Quantizes the ONNX model `input` as the recipe says and writes `output` (all or nothing). The
/// recipe, seed, data hash and version go into the output's metadata (keys "fewbit.*").
/// Errors name the file, node or key; with recipe.strict a layer that would stay in float is one.
Result<QuantizeReport> quantize_file(const std::string& input, const std::string& output,
                                     const Recipe& recipe);

/// Fewbit's version, as written into files.
std::string version();

}  // namespace fewbit
