// Operators of the domain ai.fewbit: what ONNX lacks.

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"
#include "graph/infer/matmul.h"

namespace fewbit::infer {
namespace {

// codes, table [256] of uint8; attribute `to`: the element type of the result (8 bits).
Status qtable(InferContext& c) {
  FEWBIT_ASSIGN(int64_t to, c.required_int("to"));
  std::optional<Shape> out;
  if (const Shape* s = c.shape(0); s != nullptr) out = *s;
  c.set(0, static_cast<DType>(to), std::move(out));
  return {};
}

// x [..., K]; attribute `symmetric`: codes int8, else uint8. Outputs codes [..., K], one scale per
// row [..., 1] and, asymmetric, one int32 zero-point per row.
Status quantize_rows(InferContext& c) {
  FEWBIT_TRY(c.check_min_rank(0, 1));
  bool symmetric = c.node().get_int("symmetric", 0) != 0;
  std::optional<Shape> codes;
  if (const Shape* s = c.shape(0); s != nullptr) codes = *s;
  std::optional<Shape> rows = codes;
  if (rows) rows->back() = Dim::of(1);
  c.set(0, symmetric ? DType::kInt8 : DType::kUint8, std::move(codes));
  c.set(1, DType::kFloat32, rows);
  if (!symmetric) c.set(2, DType::kInt32, std::move(rows));
  return {};
}

// codes [..., K], scale, zero?, weight [K, N], weight scale, weight zero?, bias? [N].
Status q_dynamic_matmul(InferContext& c) {
  FEWBIT_ASSIGN(std::optional<Shape> out, matmul_shape(c, 0, 3, false, false));
  c.set(0, DType::kFloat32, std::move(out));
  return {};
}

// The parts of a matrix in few bits (formats/format.h); attributes `format`, `rows`, `cols` and
// `dims` of the result. With `transposed` the matrix has its last two dimensions the other way
// round.
Status decode_as(InferContext& c, DType type) {
  FEWBIT_ASSIGN(int64_t rows, c.required_int("rows"));
  FEWBIT_ASSIGN(int64_t cols, c.required_int("cols"));
  const std::vector<int64_t> dims = c.node().get_ints("dims");
  Result<int64_t> elements = checked_elements(dims, DType::kFloat32);
  if (!elements.ok()) return std::move(elements).error().with_context("attribute 'dims'");
  if (rows < 1 || cols < 1 || *elements % cols != 0 || *elements / cols != rows) {
    return bad_input("attribute 'dims': {} cannot be made of a matrix [{}, {}]", to_string(dims),
                     rows, cols);
  }
  if (c.node().get_int("transposed", 0) != 0 &&
      (dims.size() < 2 || dims[dims.size() - 2] != cols)) {
    return bad_input("attribute 'dims': {} cannot be made of a matrix [{}, {}] by transposing it",
                     to_string(dims), rows, cols);
  }
  Shape shape;
  for (int64_t d : dims) shape.push_back(Dim::of(d));
  c.set(0, type, std::move(shape));
  return {};
}
Status decode(InferContext& c) {
  return decode_as(c, DType::kFloat32);
}
Status decode_integers(InferContext& c) {
  return decode_as(c, DType::kInt8);
}

constexpr SchemaRow kRows[] = {
    {"ai.fewbit", "Decode", 1, 1, 4, 1, 1, decode},
    {"ai.fewbit", "DecodeIntegers", 1, 1, 4, 1, 1, decode_integers},
    {"ai.fewbit", "QDynamicMatMul", 1, 5, 7, 1, 1, q_dynamic_matmul, false, 0b100},
    {"ai.fewbit", "QTable", 1, 2, 2, 1, 1, qtable},
    {"ai.fewbit", "QuantizeRows", 1, 1, 1, 2, 3, quantize_rows},
};

}  // namespace

std::span<const SchemaRow> fewbit_rows() {
  return kRows;
}

}  // namespace fewbit::infer
