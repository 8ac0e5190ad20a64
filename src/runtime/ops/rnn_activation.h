#pragma once
// The activation functions that RNN, GRU and LSTM name in their attributes.

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit::ops {

struct RnnActivation {
  double (*function)(double x, double alpha, double beta) = nullptr;
  double alpha = 0, beta = 0;
  double clip = 0;  ///< 0: none; else the input is first limited to [-clip, clip]

  template <typename T>
  T operator()(T x) const {
    const double v = static_cast<double>(x);
    return static_cast<T>(function(clip > 0 ? std::clamp(v, -clip, clip) : v, alpha, beta));
  }
  template <typename T>
  T unclipped(T x) const {
    return static_cast<T>(function(static_cast<double>(x), alpha, beta));
  }
};

/// The `activations` of a node, `per_direction` for each direction, or `defaults` repeated. Names
/// are compared without case. activation_alpha and activation_beta go, in order, to the functions
/// that have such a parameter.
Result<std::vector<RnnActivation>> read_rnn_activations(const Node& node, size_t directions,
                                                        const std::vector<std::string>& defaults);

}  // namespace fewbit::ops
