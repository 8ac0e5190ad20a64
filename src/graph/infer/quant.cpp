// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, also those of com.microsoft.

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"

namespace fewbit::infer {

namespace {

constexpr TypeSet kQuantized =
    types(DType::kInt8, DType::kUint8, DType::kInt16, DType::kUint16, DType::kInt32, DType::kInt4,
          DType::kUint4, DType::kInt2, DType::kUint2, DType::kFloat8E4M3FN, DType::kFloat8E4M3FNUZ,
          DType::kFloat8E5M2, DType::kFloat8E5M2FNUZ, DType::kFloat4E2M1);

// A scale is a scalar (or one element), one per slice along `axis`, or blocked: of x's rank. The
// zero point has its shape.
Status check_scale(const InferContext& c) {
  if (c.has(2) && c.has_shape(1) && c.has_shape(2)) {
    const Shape& scale = *c.shape(1);
    const Shape& zero = *c.shape(2);
    // Some exporters mix [] and [1].
    bool one_element = scale.size() <= 1 && zero.size() <= 1 && scale.size() != zero.size();
    auto merged = merge_types(ValueType::tensor(DType::kFloat32, scale),
                              ValueType::tensor(DType::kFloat32, zero));
    if (!merged && !one_element) {
      return c.fail(2, "the shape of {}, {}", c.input_label(1), c.type(1).to_string());
    }
  }
  const Shape* x = c.shape(0);
  const Shape* scale = c.shape(1);
  if (x == nullptr || scale == nullptr || scale->size() != 1) return {};
  if (!scale->front().known() || scale->front().value == 1) return {};
  // Blocked quantization of a vector divides by blocks.
  if (c.node().get_int("block_size", 0) != 0) return {};
  // Version 10 has no axis: per tensor only, but files with a list along axis 1 exist.
  FEWBIT_ASSIGN(int64_t axis, c.normalize_axis(c.node().get_int("axis", 1), c.rank(0)));
  return c.check_dim(1, 0, (*x)[static_cast<size_t>(axis)]);
}

Status quantize_linear(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats | types(DType::kInt32)));
  FEWBIT_TRY(c.check_elem(2, kQuantized));
  FEWBIT_TRY(check_scale(c));
  DType by_attribute = DType::kUndefined;
  if (c.node().get_int("output_dtype", 0) != 0) {
    FEWBIT_ASSIGN(by_attribute, c.dtype_attribute("output_dtype", DType::kUndefined));
  }
  DType by_zero = c.elem(2);
  if (by_attribute != DType::kUndefined && by_zero != DType::kUndefined &&
      by_attribute != by_zero) {
    return c.fail(2, "{}, which output_dtype names", name_of(by_attribute));
  }
  DType elem = by_attribute != DType::kUndefined ? by_attribute
               : c.has(2)                        ? by_zero
                                                 : DType::kUint8;
  c.set(0, elem, shape_of(c, 0));
  return {};
}

Status dequantize_linear(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kQuantized));
  FEWBIT_TRY(c.check_elem(1, kFloats | types(DType::kFloat8E8M0)));
  FEWBIT_TRY(c.check_same_elem(0, 2));
  FEWBIT_TRY(check_scale(c));
  DType elem = c.elem(1);
  if (c.node().get_int("output_dtype", 0) != 0) {
    FEWBIT_ASSIGN(elem, c.dtype_attribute("output_dtype", elem));
  }
  c.set(0, elem, shape_of(c, 0));
  return {};
}

Status dynamic_quantize_linear(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, types(DType::kFloat32)));
  c.set(0, DType::kUint8, shape_of(c, 0));
  c.set(1, DType::kFloat32, Shape{});
  c.set(2, DType::kUint8, Shape{});
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "DequantizeLinear", 10, 2, 3, 1, 1, dequantize_linear},
    {"", "DynamicQuantizeLinear", 11, 1, 1, 3, 3, dynamic_quantize_linear},
    {"", "QuantizeLinear", 10, 2, 3, 1, 1, quantize_linear},
    {"com.microsoft", "DequantizeLinear", 1, 2, 3, 1, 1, dequantize_linear},
    {"com.microsoft", "QuantizeLinear", 1, 2, 3, 1, 1, quantize_linear},
};

}  // namespace

std::span<const SchemaRow> quant_rows() {
  return kRows;
}

}  // namespace fewbit::infer
