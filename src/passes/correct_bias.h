#pragma once
// Bias correction (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
// Correction", section 4.2, with measured means): the quantized layer's mean output is brought back to
// the float layer's, per output channel.
//
// The output is linear in the input, so its mean needs no output to be watched:
//   E[y] = W E[x] + b      with E[x] the mean at every weight position.
// The first round removes each layer's own weight error, W E[x] - W' E[x] (analytic); later rounds run
// the quantized network and remove what is left, W E[x] + b - W' E[x'] - b' (empirical). Correcting
// everything at once in the first round would make layers pay for errors that the layers before them
// are about to remove themselves.
//
// Exact zero-cost at run time: only bias codes change. Deterministic.

#include <map>
#include <string>
#include <vector>

#include "calib/calibrate.h"
#include "passes/quantize_graph.h"

namespace fewbit {

/// Mean at every weight position of a layer's input, in the float network; by layer name.
using InputMeans = std::map<std::string, std::vector<double>>;

/// Changes bias codes in `model.graph` (the quantized graph that `layers` describes). `rounds` >= 1:
/// one is analytic only. Layers without bias codes (MatMul, float activations) are left alone.
/// `model` supplies everything a session needs besides the graph.
Status correct_bias(Model& model, const std::vector<QuantizedLayer>& layers,
                    const InputMeans& float_means, const BatchSource& batches, int rounds,
                    int threads);

}  // namespace fewbit
