// Operators of the domain ai.fewbit: what ONNX lacks.

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/ops/quant_matmul.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

// QTable(x, table): y = table[byte of x], as the type `to`. Any function of one 8-bit code.
Status qtable(OpContext& context) {
  const Tensor& x = context.in(0);
  const Tensor& table = context.in(1);
  auto to = static_cast<DType>(context.node().get_int("to", 0));
  if (bits_of(x.type()) != 8 || bits_of(to) != 8 || table.type() != DType::kUint8 ||
      table.elements() != 256) {
    return bad_input("{}: expected 8-bit codes and a uint8 table of 256, found {} and {}{}",
                     context.node().label(), name_of(x.type()), name_of(table.type()),
                     to_string(table.dims()));
  }
  Tensor& y = context.out(0, to, x.dims());
  const auto* from = x.data<uint8_t>();
  for (int64_t i = 0; i < x.elements(); ++i) y.data<uint8_t>()[i] = table.data<uint8_t>()[from[i]];
  return {};
}

// One row's scale and zero-point. Subnormal scales lose the ratio's precision: the row is zeros.
struct RowParams {
  float scale;
  float zero;
};
RowParams params_of_row(const float* row, int64_t cols, bool symmetric) {
  float least = 0;
  float most = 0;
  for (int64_t i = 0; i < cols; ++i) {
    if (row[i] < least) least = row[i];
    if (row[i] > most) most = row[i];
  }
  float scale = symmetric ? std::max(-least, most) / 127.0F : (most - least) / 255.0F;
  if (!(scale >= std::numeric_limits<float>::min())) return {1, 0};
  return {scale, symmetric ? 0 : std::clamp(std::nearbyintf(-least / scale), 0.0F, 255.0F)};
}

// QuantizeRows(x): codes, scale and (asymmetric) zero-point of every row along the last axis.
Status quantize_rows(OpContext& context) {
  const Tensor& x = context.in(0);
  if (x.type() != DType::kFloat32) return type_error(context.node(), x.type());
  if (x.rank() < 1) return node_error(context.node(), "a scalar has no rows");
  const bool symmetric = context.node().get_int("symmetric", 0) != 0;
  Dims rows = x.dims();
  rows.back() = 1;
  FEWBIT_ASSIGN(Tensor * codes,
                make_output(context, 0, symmetric ? DType::kInt8 : DType::kUint8, x.dims()));
  FEWBIT_ASSIGN(Tensor * scale, make_output(context, 1, DType::kFloat32, rows));
  Tensor* zero = nullptr;
  if (!symmetric && context.wants(2)) {
    FEWBIT_ASSIGN(zero, make_output(context, 2, DType::kInt32, rows));
  }
  const int64_t cols = x.dims().back();
  for (int64_t r = 0; r < scale->elements(); ++r) {
    const float* row = x.data<float>() + r * cols;
    const RowParams p = params_of_row(row, cols, symmetric);
    scale->data<float>()[r] = p.scale;
    if (zero != nullptr) zero->data<int32_t>()[r] = static_cast<int32_t>(p.zero);
    const float low = symmetric ? -127.0F : 0.0F;
    const float high = symmetric ? 127.0F : 255.0F;
    for (int64_t i = 0; i < cols; ++i) {
      float q = std::nearbyintf(row[i] / p.scale) + p.zero;
      q = std::isnan(q) ? low : std::clamp(q, low, high);
      codes->data<uint8_t>()[r * cols + i] = static_cast<uint8_t>(static_cast<int32_t>(q));
    }
  }
  return {};
}

// The zero-points as the type of the codes, which is how integer_product takes them.
Result<Tensor> zero_as_codes(const OpContext& context, const Tensor& codes) {
  if (!context.has(2)) return Tensor();
  const Tensor& zero = context.in(2);
  if (zero.type() == codes.type()) return zero;
  if (zero.type() != DType::kInt32 || codes.type() != DType::kUint8) {
    return node_error(context.node(), "a zero-point of {} for {}", name_of(zero.type()),
                      name_of(codes.type()));
  }
  FEWBIT_ASSIGN(Tensor out, make_tensor(context.node(), DType::kUint8, zero.dims()));
  for (int64_t i = 0; i < zero.elements(); ++i) {
    int32_t z = zero.data<int32_t>()[i];
    if (z < 0 || z > 255) return node_error(context.node(), "the zero-point {} is no uint8", z);
    out.data<uint8_t>()[i] = static_cast<uint8_t>(z);
  }
  return out;
}

// QDynamicMatMul(a, a_scale, a_zero?, b, b_scale, b_zero?, bias?):
//   y = float(sum (a - a_zero)(b - b_zero)) * (a_scale * b_scale) + bias
// a_scale and a_zero: one, or one per row [..., 1]; those of b: one, or one per column.
Status q_dynamic_matmul(OpContext& context) {
  const Node& node = context.node();
  const Tensor& a = context.in(0);
  const Tensor& b = context.in(3);
  const Tensor& a_scale = context.in(1);
  const Tensor& b_scale = context.in(4);
  if (a_scale.type() != DType::kFloat32 || b_scale.type() != DType::kFloat32 || b.rank() != 2 ||
      a.rank() < 1) {
    return node_error(node, "expected float32 scales and a weight matrix");
  }
  FEWBIT_ASSIGN(Tensor a_zero, zero_as_codes(context, a));
  FEWBIT_ASSIGN(Tensor sums,
                integer_product(node, a, a_zero, b, context.has(5) ? context.in(5) : Tensor()));
  const int64_t n = b.dim(1);
  const int64_t rows = n == 0 ? 0 : sums.elements() / n;
  const Tensor bias = context.has(6) ? context.in(6) : Tensor();
  if ((a_scale.elements() != 1 && a_scale.elements() != rows) ||
      (b_scale.elements() != 1 && b_scale.elements() != n) ||
      (bias.defined() && (bias.type() != DType::kFloat32 || bias.elements() != n))) {
    return node_error(node, "scales or bias do not fit the product {}", to_string(sums.dims()));
  }
  FEWBIT_ASSIGN(Tensor * out, make_output(context, 0, DType::kFloat32, sums.dims()));
  for (int64_t i = 0; i < sums.elements(); ++i) {
    const float rs = std::as_const(a_scale).data<float>()[a_scale.elements() == 1 ? 0 : i / n];
    const float cs = std::as_const(b_scale).data<float>()[b_scale.elements() == 1 ? 0 : i % n];
    const auto sum = static_cast<int32_t>(std::as_const(sums).data<uint32_t>()[i]);
    float y = static_cast<float>(sum) * (rs * cs);
    if (bias.defined()) y += bias.data<float>()[i % n];
    out->data<float>()[i] = y;
  }
  return {};
}

constexpr OpRow kRows[] = {{"ai.fewbit", "QDynamicMatMul", 1, q_dynamic_matmul},
                           {"ai.fewbit", "QTable", 1, qtable},
                           {"ai.fewbit", "QuantizeRows", 1, quantize_rows}};

}  // namespace

std::span<const OpRow> fewbit_table() {
  return kRows;
}

}  // namespace fewbit::ops
