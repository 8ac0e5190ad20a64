#pragma once
// Cross-layer equalization (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization
// and Bias Correction", eq. 8-11): between two layers with a positively homogeneous function
// between them,
//   W2 f(W1 x + b1) = (W2 S) f(S^-1 W1 x + S^-1 b1),
// and s_c = sqrt(r1_c / r2_c) gives both layers the same largest magnitude in every channel.
//
// Differences from the paper: scales are bounded, and channels that are nearly dead in one of the
// layers keep scale 1 (the paper's scale would blow them up); a ReLU6 is not replaced by ReLU,
// which costs MobileNetV2 4.4 points before anything is quantized: its bound becomes 6 / s_c per
// channel, as Relu and Min, and the rewrite stays exact within rounding.

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit {

struct EqualizeOptions {
  float max_scale = 64;  ///< s_c stays within [1 / max_scale, max_scale]
  float dead_share =
      1e-4F;            ///< a channel below this share of its layer's largest magnitude is dead
  int max_rounds = 20;  ///< sweeps over all pairs
};

/// Changes the weights of `graph` (float, batch norms folded). Returns the number of pairs changed.
Result<int> equalize(Graph& graph, const EqualizeOptions& options);

}  // namespace fewbit
