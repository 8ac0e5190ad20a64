// ai.fewbit.Decode: weights in few bits -> float32 (runtime/packed_weight.h).

#include "runtime/ops/op_support.h"
#include "runtime/ops/tables.h"
#include "runtime/integer_weight.h"

namespace fewbit::ops {
namespace {

Status decode_op(OpContext& context) {
  const Node& node = context.node();
  std::vector<Tensor> parts;
  for (size_t i = 0; i < node.inputs.size(); ++i) parts.push_back(context.in(i));
  FEWBIT_ASSIGN(const PackedMatrix matrix, packed_matrix(node, parts));
  const Dims dims = node.get_ints("dims");
  FEWBIT_ASSIGN(Tensor * out, make_output(context, 0, DType::kFloat32, dims));
  // The inference of types has checked that the matrix makes `dims`.
  decode_tensor(matrix, node.get_int("transposed", 0) != 0, *out);
  return {};
}

Status decode_integers_op(OpContext& context) {
  const Node& node = context.node();
  std::vector<Tensor> parts;
  for (size_t i = 0; i < node.inputs.size(); ++i) parts.push_back(context.in(i));
  FEWBIT_ASSIGN(const PackedMatrix matrix, packed_matrix(node, parts));
  FEWBIT_TRY(integer_scales(matrix));
  const std::vector<float> scales = node.get_floats("scales");
  if (static_cast<int64_t>(scales.size()) != matrix.rows) {
    return bad_input("{}: {} scales for {} rows", node.label(), scales.size(), matrix.rows);
  }
  const Dims dims = node.get_ints("dims");
  FEWBIT_ASSIGN(Tensor * out, make_output(context, 0, DType::kInt8, dims));
  const Tensor integers = integer_tensor(matrix, scales, dims, node.get_int("transposed", 0) != 0);
  std::copy_n(integers.data<int8_t>(), integers.elements(), out->data<int8_t>());
  return {};
}

constexpr OpRow kRows[] = {{"ai.fewbit", "Decode", 1, decode_op},
                           {"ai.fewbit", "DecodeIntegers", 1, decode_integers_op}};

}  // namespace

std::span<const OpRow> decode_table() {
  return kRows;
}

}  // namespace fewbit::ops
