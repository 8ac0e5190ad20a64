#include "runtime/packed_weight.h"

#include "formats/affine.h"
#include "kernels/pattern_codes/pattern_codes.h"
#include "kernels/vector_codes/vector_codes.h"

namespace fewbit {

Result<PackedMatrix> packed_matrix(const Node& node, std::span<const Tensor> parts) {
  PackedMatrix matrix;
  Result<Format> format = parse_format(node.get_string("format", ""));
  // A file is wrong here, not a command line.
  if (!format.ok()) return bad_input("{}: {}", node.label(), format.error().message());
  matrix.format = *format;
  matrix.rows = node.get_int("rows", 0);
  matrix.cols = node.get_int("cols", 0);
  const std::vector<int64_t> dims = {matrix.rows, matrix.cols};
  if (matrix.rows < 1 || matrix.cols < 1 || !checked_elements(dims, DType::kFloat32).ok()) {
    return bad_input("{}: [{}, {}] is no matrix", node.label(), matrix.rows, matrix.cols);
  }
  matrix.parts.assign(parts.begin(), parts.end());
  Status fits = check_parts(matrix);
  if (!fits.ok()) return std::move(fits).error().with_context(node.label());
  return matrix;
}

Result<PackedMatrix> packed_matrix(const Graph& graph, const Node& node) {
  std::vector<Tensor> parts;
  for (ValueId id : node.inputs) {
    const Tensor* part = graph.constant(id);
    if (part == nullptr) return bad_input("{}: its inputs must be constants", node.label());
    parts.push_back(*part);
  }
  return packed_matrix(node, parts);
}

bool is_plain_product(const Node& node, bool transposed) {
  if (node.is("MatMul")) return transposed;
  return node.is("Gemm") && node.get_float("alpha", 1) == 1 && node.get_float("beta", 1) == 1 &&
         node.get_int("transA", 0) == 0 && transposed == (node.get_int("transB", 0) == 0);
}

bool reads_codes(const Graph& graph, const Node& node) {
  if (node.metadata.count(std::string(kInt8Activations)) == 0 || node.input(1) == kNone)
    return false;
  const NodeId producer = graph.value(node.input(1)).producer;
  if (producer == kNone || !is_decode(graph.node(producer))) return false;
  const Node& decode = graph.node(producer);
  const Result<Format> format = parse_format(decode.get_string("format", ""));
  const std::vector<int64_t> dims = decode.get_ints("dims");
  if (!format.ok() || dims.size() != 2) return false;
  const int64_t cols = decode.get_int("cols", 0);
  if (!affine_form(*format, cols).has_value() && !has_pattern_codes(*format, cols) &&
      !has_vector_codes(*format, cols)) {
    return false;
  }
  if (!is_plain_product(node, decode.get_int("transposed", 0) != 0)) return false;
  if (node.input(2) == kNone) return true;
  const Tensor* bias = graph.constant(node.input(2));
  return bias != nullptr && bias->type() == DType::kFloat32 && bias->rank() >= 1 &&
         bias->elements() == decode.get_int("rows", 0) && bias->dims().back() == bias->elements();
}

Node decode_node(const PackedMatrix& matrix, const Dims& dims, bool transposed) {
  Node node;
  node.op_type = "Decode";
  node.domain = "ai.fewbit";
  node.opset = 1;
  node.attributes["format"] = matrix.format.name();
  node.attributes["rows"] = matrix.rows;
  node.attributes["cols"] = matrix.cols;
  node.attributes["dims"] = dims;
  if (transposed) node.attributes["transposed"] = int64_t{1};
  return node;
}

void decode_tensor(const PackedMatrix& matrix, bool transposed, Tensor& out) {
  if (!transposed) return decode(matrix, out.span<float>());
  const std::vector<float> values = decode(matrix);
  const int64_t rows = out.dims().back();
  transpose_matrices(values.data(), matrix.rows / rows, rows, matrix.cols, out.data<float>());
}

}  // namespace fewbit
