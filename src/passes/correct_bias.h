#pragma once
// Bias correction (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
// Correction", section 4.2, with measured means): the quantized layer's mean output is brought back
// to the float layer's, per output channel.
//
// The output is linear in the input, so its mean needs no output to be watched:
//   E[y] = W E[x] + b      with E[x] the mean at every weight position.
// Analytic: each layer's own weight error is removed, W E[x] - W' E[x]; one linear pass over the
// weights. Empirical: layer by layer in order, the mean E[x'] that the corrected layers before it
// really give is measured on the integer kernels, and all that is left is removed,
// W E[x] + b - W' E[x'] - b'. (Correcting all layers at once from one measurement diverges: every
// layer then pays for errors that the layers before it remove as well.)
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

/// Changes bias codes (floats, where the weights lie in few bits) in `model.graph` (the quantized
/// graph that `layers` describes): analytic without `batches`, empirical with them. Layers without
/// bias codes (MatMul, float activations) are left alone.
Status correct_bias(Model& model, const std::vector<QuantizedLayer>& layers,
                    const InputMeans& float_means, const BatchSource* batches, int threads);

}  // namespace fewbit
