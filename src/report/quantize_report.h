#pragma once
// What a quantization run did, what it cost, which layers hurt and what stayed in float: the data
// in one place, printed as a table or as JSON.

#include <optional>
#include <string>
#include <vector>

#include "passes/prepare.h"

namespace fewbit {

struct LayerReport {
  std::string name;
  std::string op_type;
  std::string scheme;         ///< what the file has: "w8a8", "a8", "int4/g32", "float"
  bool integer = false;       ///< computes on integers in this runtime
  bool packed = false;        ///< its weights are in few bits, decoded to float32 to compute
  std::string reason;         ///< of a fallback, or what is special
  double weight_sqnr_db = 0;  ///< weighted layers
  double output_sqnr_db = 0;  ///< of the layer's output against the float model's
  double own_sqnr_db = 0;     ///< of the error born here; NaN if it could not be measured
  double cosine = 0;
  bool measured = false;    ///< the three above
  int64_t float_bytes = 0;  ///< of its weights
  int64_t bytes = 0;
};

struct AccuracyReport {
  int64_t samples = 0;
  bool labelled = false;
  double top1 = 0, top1_low = 0, top1_high = 0;  ///< percent, with a 95 % interval
  double top5 = 0;
};

struct QuantizeReport {
  std::string input, output;
  std::string scheme, target;
  std::string version;
  int64_t seed = 0;
  std::string data_hash;  ///< SHA-256 of the calibration samples
  int64_t calibration_samples = 0;
  std::string bias_correction;  ///< what was done: "", none, analytic, empirical
  std::vector<PassReport> passes;
  std::vector<LayerReport> layers;
  double output_sqnr_db = 0;  ///< of the model's outputs on the verification data
  int64_t verify_samples = 0;
  std::optional<AccuracyReport> float_accuracy, accuracy;
  double accuracy_drop = 0;  ///< points, paired; negative: better
  double drop_low = 0, drop_high = 0;
  double mcnemar_p = 1;
  int64_t float_bytes = 0, bytes = 0;  ///< of the files
  double seconds_calibrate = 0, seconds_total = 0;
  int64_t peak_rss_bytes = 0;

  bool weight_only = false;  ///< no integers were asked for: packed weights are what was

  int64_t integer_layers() const;
  int64_t packed_layers() const;
  /// Layers that are not what was asked for: float here although integers (weight-only: packed
  /// weights) were.
  int64_t fallbacks() const;
  /// Bits of packed weights, with all that belongs to them, over their number; 0 if there are none.
  double packed_bits_per_weight() const;
};

/// One JSON object.
std::string to_json(const QuantizeReport& report);
/// For a terminal at most `columns` wide: summary, layers worst first, fallbacks with their
/// reasons.
std::string to_table(const QuantizeReport& report, int columns);

}  // namespace fewbit
