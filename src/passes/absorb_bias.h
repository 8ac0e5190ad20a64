#pragma once
// Absorption of high biases (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization
// and Bias Correction", section 4.1.3, eq. 12-15). For a channel that is hardly ever below c > 0,
//   relu(x) = relu(x - c) + c        exact where x >= c,
// so that c can leave the first layer's bias and enter the second one's:
//   b1' = b1 - c,    b2' = b2 + W2 c,    c = max(0, mean - 3 deviations)
// of the channel in front of the rectifier. The activation's range shrinks by c. NOT exact: values
// below c (0.14 % of a normal distribution) are cut off at c.
//
// Differences from the paper: mean and deviation are measured on the calibration data, so that
// models whose batch normalization was folded by their exporter are served as well; an upper bound
// b becomes b - c, and c is at most b. Where the second layer pads its input with zeros nothing is
// done: the padding would have to become -c.
// Cost: one float run of the calibration batches, linear in the weights otherwise. Deterministic.

#include <string>
#include <vector>

#include "base/result.h"
#include "calib/calibrate.h"
#include "graph/graph.h"

namespace fewbit {

struct AbsorbOptions {
  double deviations = 3;  ///< c lies so many below the mean
  int threads = 0;        ///< of the run that measures; 0: all processors
};

struct Absorbed {
  int pairs = 0;                        ///< pairs of layers with a channel that was changed
  int64_t channels = 0;                 ///< channels with c > 0 in them
  std::vector<std::string> left_alone;  ///< one sentence for each pair that could not be treated
};

/// Changes biases (and bounds) in the float graph of `model`, whose types are inferred. Runs after
/// equalization. Errors: what running the model on `batches` gives.
Result<Absorbed> absorb_bias(Model& model, const BatchSource& batches,
                             const AbsorbOptions& options);

}  // namespace fewbit
