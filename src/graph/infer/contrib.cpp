// Operators of com.microsoft that quantized and optimised exports hold. Their inputs are as in the
// operator documentation of that domain; "?" marks those that may be left out.

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"
#include "graph/infer/matmul.h"

namespace fewbit::infer {

namespace {

// A, A_scale, A_zero_point?, B, B_scale, B_zero_point?, C_scale, C_zero_point?
Status qlinear_binary(InferContext& c) {
  FEWBIT_TRY(c.check_same_elem(0, 3));
  FEWBIT_ASSIGN(std::optional<Shape> out, broadcast_inputs(c, {0, 3}));
  c.set(0, first_elem(c, {0, 3}), std::move(out));
  return {};
}

// Y_scale, Y_zero_point, then (tensor, scale, zero point) of each input.
Status qlinear_concat(InferContext& c) {
  if ((c.input_count() - 2) % 3 != 0) {
    return bad_input("the node has {} inputs, expected 2 and three for each tensor",
                     c.input_count());
  }
  std::optional<Shape> out;
  DType elem = c.elem(1);
  for (size_t i = 2; i < c.input_count(); i += 3) {
    const Shape* s = c.shape(i);
    if (elem == DType::kUndefined) elem = c.elem(i);
    if (s == nullptr) {
      out.reset();
      break;
    }
    FEWBIT_ASSIGN(int64_t given, c.required_int("axis"));
    FEWBIT_ASSIGN(int64_t normalized, c.normalize_axis(given, c.rank(i)));
    auto axis = static_cast<size_t>(normalized);
    if (i == 2) {
      out = *s;
      continue;
    }
    FEWBIT_TRY(c.check_rank(i, static_cast<int64_t>(out->size())));
    for (size_t k = 0; k < s->size(); ++k) {
      if (k == axis) continue;
      FEWBIT_TRY(c.check_dim(i, k, (*out)[k]));
      (*out)[k] = more_precise((*out)[k], (*s)[k]);
    }
    (*out)[axis] = add((*out)[axis], (*s)[axis]);
  }
  c.set(0, elem, std::move(out));
  return {};
}

// A, a_scale, a_zero_point, B, b_scale, b_zero_point, C?, y_scale?, y_zero_point?
Status qgemm(InferContext& c) {
  FEWBIT_TRY(c.check_same_elem(0, 2));
  FEWBIT_TRY(c.check_same_elem(3, 5));
  FEWBIT_ASSIGN(Shape out, gemm_shape(c, 0, 3));
  FEWBIT_TRY(check_broadcasts_to(c, 6, out));
  c.set(0, c.has(8) ? c.elem(8) : DType::kFloat32, std::move(out));
  return {};
}

// A, B, a_scale, b_scale, a_zero_point?, b_zero_point?, bias?
Status matmul_integer_to_float(InferContext& c) {
  FEWBIT_ASSIGN(std::optional<Shape> out, matmul_shape(c, 0, 1, false, false));
  c.set(0, first_elem(c, {2, 3}), std::move(out));
  return {};
}

// A, B, b_scale, b_zero_point?, bias?
Status dynamic_quantize_matmul(InferContext& c) {
  FEWBIT_ASSIGN(std::optional<Shape> out, matmul_shape(c, 0, 1, false, false));
  c.set(0, c.elem(0), std::move(out));
  return {};
}

// A [..., K], B (packed [N, ...]), scales, zero_points?, g_idx?, bias?
Status matmul_nbits(InferContext& c) {
  FEWBIT_TRY(c.check_min_rank(0, 1));
  FEWBIT_ASSIGN(int64_t k, c.required_int("K"));
  FEWBIT_ASSIGN(int64_t n, c.required_int("N"));
  std::optional<Shape> out = shape_of(c, 0);
  if (out) {
    FEWBIT_TRY(c.check_dim(0, out->size() - 1, dim_or_unknown(k)));
    out->back() = dim_or_unknown(n);
  }
  c.set(0, c.elem(0), std::move(out));
  return {};
}

// transBatchA and transBatchB, which move the first dimension, are left to the executor's report.
Status fused_matmul(InferContext& c) {
  FEWBIT_TRY(c.check_same_elem(0, 1));
  bool moved = c.node().get_int("transBatchA", 0) != 0 || c.node().get_int("transBatchB", 0) != 0;
  std::optional<Shape> out;
  if (!moved) {
    FEWBIT_ASSIGN(out, matmul_shape(c, 0, 1, c.node().get_int("transA", 0) != 0,
                                    c.node().get_int("transB", 0) != 0));
  }
  c.set(0, first_elem(c, {0, 1}), std::move(out));
  return {};
}

Status bias_gelu(InferContext& c) {
  FEWBIT_TRY(c.check_same_elem(0, 1));
  FEWBIT_ASSIGN(std::optional<Shape> out, broadcast_inputs(c, {0, 1}));
  c.set(0, first_elem(c, {0, 1}), std::move(out));
  return {};
}

constexpr SchemaRow kRows[] = {
    {"com.microsoft", "BiasGelu", 1, 2, 2, 1, 1, bias_gelu},
    {"com.microsoft", "DynamicQuantizeMatMul", 1, 3, 5, 1, 1, dynamic_quantize_matmul},
    {"com.microsoft", "FastGelu", 1, 1, 2, 1, 1, same_as_float_input},
    {"com.microsoft", "FusedMatMul", 1, 2, 2, 1, 1, fused_matmul},
    {"com.microsoft", "Gelu", 1, 1, 1, 1, 1, same_as_float_input},
    {"com.microsoft", "MatMulIntegerToFloat", 1, 4, 7, 1, 1, matmul_integer_to_float},
    {"com.microsoft", "MatMulNBits", 1, 3, 6, 1, 1, matmul_nbits},
    {"com.microsoft", "QGemm", 1, 6, 9, 1, 1, qgemm, false, 0b100100},
    {"com.microsoft", "QLinearAdd", 1, 7, 8, 1, 1, qlinear_binary, false, 0b100100},
    {"com.microsoft", "QLinearConcat", 1, 5, -1, 1, 1, qlinear_concat},
    {"com.microsoft", "QLinearLeakyRelu", 1, 4, 5, 1, 1, same_as_input, false, 0b100},
    {"com.microsoft", "QLinearMul", 1, 7, 8, 1, 1, qlinear_binary, false, 0b100100},
    {"com.microsoft", "QLinearSigmoid", 1, 4, 5, 1, 1, same_as_input, false, 0b100},
    {"com.microsoft", "QLinearSoftmax", 1, 5, 5, 1, 1, same_as_input, false, 0b100},
    {"com.microsoft", "QuickGelu", 1, 1, 1, 1, 1, same_as_float_input},
};

}  // namespace

std::span<const SchemaRow> contrib_rows() {
  return kRows;
}

}  // namespace fewbit::infer
