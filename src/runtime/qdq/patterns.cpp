#include "runtime/qdq/patterns.h"

namespace fewbit {
namespace {

constexpr std::string_view kMs = "com.microsoft";

constexpr QdqRow kRows[] = {
    {"Conv", QdqRole::kWeighted, "QLinearConv", "", true, "needs an output quantizer in ORT"},
    {"Gemm", QdqRole::kWeighted, "QGemm", kMs, true, "alpha = beta = 1"},
    {"MatMul", QdqRole::kWeighted, "QLinearMatMul", "", true,
     "without an output quantizer ORT uses MatMulIntegerToFloat"},
    {"Add", QdqRole::kBinary, "QLinearAdd", kMs, true, ""},
    {"Mul", QdqRole::kBinary, "QLinearMul", kMs, true, ""},
    {"Concat", QdqRole::kVariadic, "QLinearConcat", kMs, true, ""},
    {"AveragePool", QdqRole::kUnary, "QLinearAveragePool", kMs, true, ""},
    {"GlobalAveragePool", QdqRole::kUnary, "QLinearGlobalAveragePool", kMs, true, ""},
    {"Softmax", QdqRole::kUnary, "QLinearSoftmax", kMs, true, ""},
    {"Sigmoid", QdqRole::kTable, "", "", true, ""},
    {"LeakyRelu", QdqRole::kTable, "", "", true, ""},
    {"Tanh", QdqRole::kTable, "", "", false, "stays float in ORT"},
    {"HardSwish", QdqRole::kTable, "", "", false, "stays float in ORT"},
    {"HardSigmoid", QdqRole::kTable, "", "", false, "stays float in ORT"},
    {"Gelu", QdqRole::kTable, "", "", false, "stays float in ORT"},
    {"Elu", QdqRole::kTable, "", "", false, "stays float in ORT"},
    {"Mish", QdqRole::kTable, "", "", false, "stays float in ORT"},
    {"Softplus", QdqRole::kTable, "", "", false, "stays float in ORT"},
    {"Exp", QdqRole::kTable, "", "", false, "stays float in ORT"},
    {"Erf", QdqRole::kTable, "", "", false, "stays float in ORT"},
    {"Sqrt", QdqRole::kTable, "", "", false, "stays float in ORT"},
    {"MaxPool", QdqRole::kSameScale, "", "", true, ""},
    {"Reshape", QdqRole::kSameScale, "", "", true, ""},
    {"Flatten", QdqRole::kSameScale, "", "", true, ""},
    {"Transpose", QdqRole::kSameScale, "", "", true, ""},
    {"Squeeze", QdqRole::kSameScale, "", "", true, ""},
    {"Unsqueeze", QdqRole::kSameScale, "", "", true, ""},
    {"Slice", QdqRole::kSameScale, "", "", true, ""},
    {"Pad", QdqRole::kSameScale, "", "", false, "with zeros; stays float in ORT"},
    {"Split", QdqRole::kSameScale, "", "", true, ""},
    {"Gather", QdqRole::kSameScale, "", "", true, ""},
    {"Expand", QdqRole::kSameScale, "", "", true, ""},
    {"Tile", QdqRole::kSameScale, "", "", true, ""},
    {"DepthToSpace", QdqRole::kSameScale, "", "", true, ""},
    {"SpaceToDepth", QdqRole::kSameScale, "", "", true, ""},
    {"Min", QdqRole::kBound, "", "", false, "per-channel bounds, after equalization"},
    {"Relu", QdqRole::kActivation, "", "", true, "absorbed where the zero-point is the minimum"},
    {"Clip", QdqRole::kActivation, "", "", true, "absorbed where the range fits the clip"},
};

}  // namespace

std::span<const QdqRow> qdq_table() {
  return kRows;
}

const QdqRow* find_qdq(const Node& node) {
  if (!node.domain.empty()) return nullptr;
  for (const QdqRow& row : kRows) {
    if (row.op_type == node.op_type) return &row;
  }
  return nullptr;
}

}  // namespace fewbit
