#pragma once
// Which operators compute on integers between a DequantizeLinear and a QuantizeLinear, and as what.
//
// One table for two users: the runtime fuses these patterns into integer kernels, and the planner's
// `ort-cpu` target writes its quantizers so that ONNX Runtime fuses them as well. Facts about ONNX
// Runtime: its "extended" optimisation level, as seen in the optimized graphs
// (docs/quantization.md).

#include <cstdint>
#include <span>
#include <string_view>

#include "graph/graph.h"

namespace fewbit {

enum class QdqRole : uint8_t {
  kWeighted,    ///< activations x constant weight (+ int32 bias): Conv, Gemm, MatMul
  kBinary,      ///< two activations: Add, Mul
  kVariadic,    ///< Concat: every input has its own scale
  kUnary,       ///< one activation, own output scale; computed by an int8 kernel
  kTable,       ///< elementwise on one activation: any function is a 256-entry table on 8 bits
  kSameScale,   ///< moves or selects elements: input and output share scale and zero-point
  kBound,       ///< Min with a constant per channel: bounds the codes, shares scale and zero-point
  kActivation,  ///< Relu, Clip: absorbed into the quantizer of the operator before it
};

struct QdqRow {
  std::string_view op_type;
  QdqRole role;
  std::string_view fused;  ///< the integer operator ("" for kSameScale, kTable, kActivation)
  std::string_view fused_domain;
  bool ort_fuses;         ///< ONNX Runtime runs this pattern on integers
  std::string_view note;  ///< for reports: why it is float elsewhere, what to know
};

std::span<const QdqRow> qdq_table();

/// The row for an operator of the ONNX domain (or com.microsoft where it lists one), or nullptr.
const QdqRow* find_qdq(const Node& node);

}  // namespace fewbit
