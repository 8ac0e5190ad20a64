#pragma once
// Reading quantization parameters out of a graph: QuantizeLinear and DequantizeLinear with constant
// parameters, and what Relu and Clip become on integers.

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/graph.h"

namespace fewbit {

/// real = scale[c] * (q - zero[c]); one entry per tensor or per index of `axis`.
struct QuantParams {
  DType type = DType::kUndefined;
  std::vector<float> scale;
  std::vector<int32_t> zero;  ///< as many as scales
  int64_t axis = 0;
  bool per_tensor() const { return scale.size() == 1; }
  bool is_8bit() const { return type == DType::kUint8 || type == DType::kInt8; }
};

/// Smallest and largest code of an integer type of at most 16 bits.
std::pair<int32_t, int32_t> code_range(DType type);

/// The parameters of inputs (scale, zero) of a Q or DQ node: constants, float32 or float16 scale,
/// integer type of at most 16 bits, not blocked. `value_type`: the type of the quantized tensor.
std::optional<QuantParams> quant_params(const Graph& graph, const Node& node, ValueId scale,
                                        ValueId zero, DType value_type);

/// A value that is the output of a DequantizeLinear with constant parameters.
struct Dequantized {
  NodeId node = kNone;
  ValueId quantized = kNone;  ///< its integer input
  ValueId scale = kNone, zero = kNone;
  QuantParams params;
  bool constant = false;  ///< the integers are an initializer
};
std::optional<Dequantized> dequantized(const Graph& graph, ValueId value);

/// A QuantizeLinear node with constant per-tensor parameters.
struct Quantizer {
  NodeId node = kNone;
  ValueId quantized = kNone;  ///< its output
  ValueId scale = kNone, zero = kNone;
  QuantParams params;
};
std::optional<Quantizer> as_quantizer(const Graph& graph, NodeId node);

/// The codes that Relu or Clip (constant bounds) leave: [lo, hi] cut from the given ones.
/// Quantization is monotone, so Q(clamp(x, a, b)) = clamp(Q(x), Q(a), Q(b)) exactly.
/// nullopt if the node is neither, or a bound is not constant or NaN.
std::optional<std::pair<int32_t, int32_t>> clamp_codes(const Graph& graph, const Node& node,
                                                       const QuantParams& params,
                                                       std::pair<int32_t, int32_t> range);

/// A Pad node (opset 11 on) in constant mode whose constant is 0: on codes, the zero-point.
bool pads_with_zeros(const Graph& graph, const Node& node);

/// The bounds of a Relu or Clip node with constant bounds.
std::optional<std::pair<float, float>> clamp_bounds(const Graph& graph, const Node& node);

}  // namespace fewbit
