#pragma once
// Layers whose weights pack_weights has packed, as bias correction wants to see layers.

#include <vector>

#include "passes/pack_weights.h"
#include "passes/quantize_graph.h"

namespace fewbit {

/// Those of `packed` that compute on integers and have a bias input (Conv, Gemm), in graph order.
/// Biases of their own that `graph` lacks are added as zeros. `float_graph` is the graph before
/// quantization: weights and biases are looked up there by the names of layers.
Result<std::vector<QuantizedLayer>> packed_layers(Graph& graph, const Graph& float_graph,
                                                  const std::vector<PackedLayer>& packed);

}  // namespace fewbit
