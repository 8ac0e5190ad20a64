#pragma once
// What a run asks for: the scheme of weights and activations, and which passes prepare the model.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "calib/observer.h"
#include "formats/format.h"

namespace fewbit {

enum class Activations : uint8_t { kFloat, kStatic, kDynamic };
enum class Granularity : uint8_t { kTensor, kChannel };

struct QuantScheme {
  /// Weights in a row of the formats table, behind Decode nodes (passes/pack_weights.h). Without it
  /// they are int8 behind DequantizeLinear, and the five fields below describe them.
  std::optional<Format> weight_format;
  int weight_bits = 8;
  Granularity weight_granularity = Granularity::kChannel;
  bool weight_symmetric = true;
  std::string weight_range = "mse";  ///< "max": the largest magnitude; "mse": least squared error
  Activations activations = Activations::kStatic;
  DType activation_type = DType::kUint8;  ///< uint8, int8, uint16, int16
  bool activation_symmetric = false;
  bool per_token = false;  ///< dynamic only: one scale per row instead of one per tensor
  std::string observer = "mse";
  ObserverOptions observer_options;
  std::set<std::string> float_layers;  ///< names of layers to leave alone

  /// "w8a8", "w8", "int4/g32", "int4+a8", ...
  std::string name() const;
};

/// Parses
///   w8a8, w8, w8a16   with the suffixes :tensor, :channel, :dynamic, :token
///   wB, wBa8          B in 2 .. 8, suffixes :gN, :channel, :tensor, :asym: intB or uintB weights;
///                     wBa8 alone is wBa8:channel
///   FORMAT, FORMAT+a8 any format of the table (`fewbit formats`); also fp8, fp6, fp4
/// where a8 means static 8-bit activations; with :token behind it, activations of products are
/// rounded to int8 when they run, one scale per row.
Result<QuantScheme> parse_scheme(const std::string& text);

}  // namespace fewbit
