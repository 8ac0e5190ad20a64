#pragma once
// Weight-only quantization: the constant weights of a graph become matrices in few bits behind
// ai.fewbit.Decode nodes (runtime/packed_weight.h). Activations and biases stay as they are.
//
//   Conv, ConvTranspose   [out, in/g, k...] (ConvTranspose: [in, out/g, k...]): a row is one index
//                         of the first dimension, groups run over the rest of it
//   MatMul, Gemm          a row holds the weights of one output, groups run along the inputs
//   Gather                a row is one embedding
//   LSTM, GRU, RNN        both matrices of each direction, a row is one gate's output

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/format.h"
#include "graph/graph.h"

namespace fewbit {

struct PackOptions {
  Format format;
  bool search = true;                  ///< EncodeOptions::search
  bool int8_activations = false;       ///< products may round theirs to int8 (kInt8Activations)
  bool static_activations = false;     ///< activations have quantizers: layers want integers
  std::set<std::string> float_layers;  ///< names of layers to leave alone
  /// By name of the layer: how much the square of each weight's error counts, [cols] or
  /// [rows, cols]. Layers that are not here: all alike.
  std::map<std::string, std::vector<float>> importance;
};

/// A layer with weights, packed or not.
struct PackedLayer {
  std::string name;
  std::string op_type;
  std::string weight;  ///< name of the constant
  std::string reason;  ///< why it stays as it is; empty if packed
  int64_t rows = 0, cols = 0;
  double sqnr_db = 0;                  ///< of the weights
  int64_t float_bytes = 0, bytes = 0;  ///< of the weights, before and after; 0 where another layer
                                       ///< counts the same weights

  bool on_codes = false;  ///< kernels multiply its codes (integers) with 8-bit activations
  std::string note;       ///< why they do not, where they were to

  bool packed() const { return reason.empty(); }
};

/// Layers in graph order; a weight that several layers share is packed once. Errors are of inputs
/// that no format could take (NaN or infinity); what this format cannot hold stays in float and is
/// listed with its reason.
Result<std::vector<PackedLayer>> pack_weights(Graph& graph, const PackOptions& options);

}  // namespace fewbit
