// MatMulInteger and QLinearMatMul: the exact sums of MatMul on codes minus their zero points.

#include <cmath>

#include "runtime/ops/nested.h"
#include "runtime/ops/quant_math.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

// Values (scales, zero points) per tensor, per line of a matrix, or per line of each matrix of a
// stack: line `line` of matrix `matrix` uses number matrix * matrix_step + line * line_step.
struct PerLine {
  int64_t matrix_step = 0, line_step = 0;
  size_t at(int64_t matrix, int64_t line) const {
    return static_cast<size_t>(matrix * matrix_step + line * line_step);
  }
};

// How `parameter` spreads over the rows (or columns) of `codes`: [], [1], [lines], or the shape of
// the codes with 1 in the other of the two last dimensions.
Result<PerLine> spread(const OpContext& ctx, const Tensor& codes, const Tensor& parameter,
                       bool rows) {
  if (parameter.elements() == 1) return PerLine{};
  const auto rank = codes.dims().size();
  if (rank >= 2) {
    const int64_t lines = codes.dims()[rank - (rows ? 2 : 1)];
    Dims stacked = codes.dims();
    stacked[rank - (rows ? 1 : 2)] = 1;
    if (parameter.dims() == Dims{lines}) return PerLine{0, 1};
    if (parameter.dims() == stacked) return PerLine{lines, 1};
  }
  return node_error(ctx.node(), "a parameter of shape {} does not fit the {} of {}",
                    to_string(parameter.dims()), rows ? "rows" : "columns",
                    to_string(codes.dims()));
}

// Codes minus zero points, as uint32 (see centered).
Result<Tensor> centered_lines(const OpContext& ctx, size_t codes_at, size_t zero_at, bool rows) {
  const Tensor& codes = ctx.in(codes_at);
  if (!ctx.has(zero_at)) return centered(ctx.node(), codes, {0}, 0);
  FEWBIT_TRY(need_same_type(ctx, codes_at, zero_at));
  FEWBIT_ASSIGN(const auto zeros, read_codes8(ctx.node(), ctx.in(zero_at)));
  FEWBIT_ASSIGN(const PerLine lines, spread(ctx, codes, ctx.in(zero_at), rows));
  FEWBIT_ASSIGN(Tensor out, centered(ctx.node(), codes, {0}, 0));
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

// int32 sums (as uint32) of the product of inputs a and b.
Result<Tensor> integer_product(const OpContext& ctx, size_t a, size_t a_zero, size_t b,
                               size_t b_zero) {
  FEWBIT_ASSIGN(Tensor ac, centered_lines(ctx, a, a_zero, true));
  FEWBIT_ASSIGN(Tensor bc, centered_lines(ctx, b, b_zero, false));
  std::vector<RuntimeValue> inputs;
  inputs.emplace_back(std::move(ac));
  inputs.emplace_back(std::move(bc));
  return run_nested(ctx, "MatMul", 13, std::move(inputs));
}

Status matmul_integer(OpContext& ctx) {
  FEWBIT_ASSIGN(const Tensor sums, integer_product(ctx, 0, 2, 1, 3));
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
  FEWBIT_ASSIGN(q.a, spread(ctx, a, ctx.in(1), true));
  FEWBIT_ASSIGN(q.b, spread(ctx, b, ctx.in(4), false));
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
  FEWBIT_ASSIGN(const Tensor sums, integer_product(ctx, 0, 2, 3, 5));
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
