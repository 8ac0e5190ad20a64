// MatMulInteger and QLinearMatMul: the exact sums of MatMul on codes minus their zero points.

#include "runtime/ops/quant_matmul.h"

#include <cmath>

#include "runtime/ops/nested.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
Result<PerLine> spread(const Node& node, const Tensor& codes, const Tensor& parameter, bool rows) {
  if (parameter.elements() == 1) return PerLine{};
  const auto rank = codes.dims().size();
  if (rank >= 2) {
    const int64_t lines = codes.dims()[rank - (rows ? 2 : 1)];
    Dims stacked = codes.dims();
    stacked[rank - (rows ? 1 : 2)] = 1;
    if (parameter.dims() == Dims{lines}) return PerLine{0, 1};
    if (parameter.dims() == stacked) return PerLine{lines, 1};
  }
  return node_error(node, "a parameter of shape {} does not fit the {} of {}",
                    to_string(parameter.dims()), rows ? "rows" : "columns",
                    to_string(codes.dims()));
}

namespace {

// Codes minus zero points, as uint32 (see centered).
Result<Tensor> centered_lines(const Node& node, const Tensor& codes, const Tensor& zero,
                              bool rows) {
  FEWBIT_ASSIGN(Tensor out, centered(node, codes, {0}, 0));
  if (!zero.defined()) return out;
  if (zero.type() != codes.type()) {
    return node_error(node, "a zero point of {} for {}", name_of(zero.type()),
                      name_of(codes.type()));
  }
  FEWBIT_ASSIGN(const auto zeros, read_codes8(node, zero));
  FEWBIT_ASSIGN(const PerLine lines, spread(node, codes, zero, rows));
  const int64_t columns = codes.rank() > 0 ? codes.dims().back() : 1;
  const int64_t height = codes.rank() > 1 ? codes.dim(codes.rank() - 2) : 1;
  if (columns == 0 || height == 0) return out;
  auto* values = out.data<uint32_t>();
  for (int64_t row = 0; row < codes.elements() / columns; ++row) {
    for (int64_t c = 0; c < columns; ++c) {
      const size_t at = lines.at(row / height, rows ? row % height : c);
      values[row * columns + c] -= static_cast<uint32_t>(zeros[at]);
    }
  }
  return out;
}

// Input i, or an undefined tensor.
Tensor optional_input(const OpContext& ctx, size_t i) {
  return ctx.has(i) ? ctx.in(i) : Tensor();
}

}  // namespace

Result<Tensor> integer_product(const Node& node, const Tensor& a, const Tensor& a_zero,
                               const Tensor& b, const Tensor& b_zero) {
  FEWBIT_ASSIGN(Tensor ac, centered_lines(node, a, a_zero, true));
  FEWBIT_ASSIGN(Tensor bc, centered_lines(node, b, b_zero, false));
  return run_nested(nested_node(node, "MatMul"), {std::move(ac), std::move(bc)});
}

namespace {

Status matmul_integer(OpContext& ctx) {
  FEWBIT_ASSIGN(const Tensor sums, integer_product(ctx.node(), ctx.in(0), optional_input(ctx, 2),
                                                   ctx.in(1), optional_input(ctx, 3)));
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, DType::kInt32, sums.dims()));
  std::copy_n(sums.data<uint32_t>(), sums.elements(),
              reinterpret_cast<uint32_t*>(y->data<int32_t>()));
  return {};
}

// Requantization of the sums [matrices, rows, columns].
struct Requantizer {
  std::vector<float> a_scale, b_scale;
  PerLine a, b;
  float y_scale;
  int32_t zero;
  int64_t rows, columns;
};

Result<Requantizer> read_requantizer(const OpContext& ctx, const Dims& dims) {
  Requantizer q;
  const Tensor &a = ctx.in(0), &b = ctx.in(3);
  FEWBIT_ASSIGN(q.a_scale, read_floats(ctx.node(), ctx.in(1), "a_scale"));
  FEWBIT_ASSIGN(q.b_scale, read_floats(ctx.node(), ctx.in(4), "b_scale"));
  FEWBIT_ASSIGN(q.a, spread(ctx.node(), a, ctx.in(1), true));
  FEWBIT_ASSIGN(q.b, spread(ctx.node(), b, ctx.in(4), false));
  FEWBIT_ASSIGN(q.y_scale, read_scale(ctx, 6));
  FEWBIT_ASSIGN(q.zero, read_zero(ctx, 7, ctx.in(7).type()));
  q.columns = b.rank() > 1 ? dims.back() : 1;
  q.rows = a.rank() > 1 ? dims[dims.size() - (b.rank() > 1 ? 2 : 1)] : 1;
  // A scale for every matrix of a stack belongs to one matrix of the result only if it is not
  // broadcast.
  const auto stack_of = [](const Tensor& t) { return product(t.dims(), 0, t.rank() - 2); };
  const int64_t lines = q.rows * q.columns;
  const int64_t matrices = lines == 0 ? 0 : elements_of(dims) / lines;
  if ((q.a.matrix_step != 0 && stack_of(a) != matrices) ||
      (q.b.matrix_step != 0 && stack_of(b) != matrices)) {
    return unsupported("{}: scales per matrix with broadcasting", ctx.node().label());
  }
  return q;
}

Status qlinear_matmul(OpContext& ctx) {
  FEWBIT_ASSIGN(const Tensor sums,
                integer_product(ctx.node(), ctx.in(0), ctx.in(2), ctx.in(3), ctx.in(5)));
  FEWBIT_ASSIGN(const Requantizer q, read_requantizer(ctx, sums.dims()));
  const DType type = ctx.in(7).type();
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, type, sums.dims()));
  return dispatch(ctx.node(), type, Codes8{}, [&](auto tag) -> Status {
    using Q = typename decltype(tag)::type;
    const auto* src = reinterpret_cast<const int32_t*>(sums.data<uint32_t>());
    Q* dst = y->data<Q>();
    for (int64_t i = 0; i < sums.elements(); ++i) {
      const int64_t row = i / q.columns % q.rows, matrix = i / (q.columns * q.rows);
      const float scale =
          q.a_scale[q.a.at(matrix, row)] * q.b_scale[q.b.at(matrix, i % q.columns)] / q.y_scale;
      dst[i] = to_code<Q>(static_cast<float>(src[i]) * scale, q.zero);
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "MatMulInteger", 10, matmul_integer},
    {"", "QLinearMatMul", 10, qlinear_matmul},
};

}  // namespace

std::span<const OpRow> quant_matmul_table() {
  return kRows;
}

}  // namespace fewbit::ops
