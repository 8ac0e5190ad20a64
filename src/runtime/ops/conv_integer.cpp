// ConvInteger and QLinearConv: exact sums of 8-bit products, then one rounding.

#include "runtime/ops/conv_core.h"
#include "runtime/ops/quant_math.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

// Zero points of the weights: one, or one per filter; none given is 0.
Result<std::vector<int32_t>> weight_zeros(const OpContext& ctx, size_t w, size_t zero,
                                          int64_t filters) {
  if (!ctx.has(zero)) return std::vector<int32_t>{0};
  FEWBIT_TRY(need_same_type(ctx, w, zero));
  FEWBIT_ASSIGN(auto zeros, read_codes8(ctx.node(), ctx.in(zero)));
  if (zeros.size() != 1 && static_cast<int64_t>(zeros.size()) != filters) {
    return node_error(ctx.node(), "{} weight zero points for {} filters", zeros.size(), filters);
  }
  return zeros;
}

// The int32 sums of the convolution, bias included, into `sums` (uint32, two's complement).
Status accumulate(const OpContext& ctx, const ConvProblem& p, size_t x, size_t x_zero, size_t w,
                  size_t w_zero, const uint32_t* bias, uint32_t* sums) {
  FEWBIT_ASSIGN(const int32_t zero, read_zero(ctx, x_zero, ctx.in(x).type()));
  FEWBIT_ASSIGN(const auto zeros, weight_zeros(ctx, w, w_zero, p.filters));
  FEWBIT_ASSIGN(const Tensor xc, centered(ctx.node(), ctx.in(x), {zero}, 0));
  FEWBIT_ASSIGN(const Tensor wc, centered(ctx.node(), ctx.in(w), zeros, 0));
  convolve(p, xc.data<uint32_t>(), wc.data<uint32_t>(), bias, sums);
  return {};
}

Status conv_integer(OpContext& ctx) {
  FEWBIT_ASSIGN(const ConvProblem p, read_conv(ctx, 0, 1));
  FEWBIT_ASSIGN(Tensor * y,
                make_output(ctx, 0, DType::kInt32, p.window.output_dims(p.batch, p.filters)));
  return accumulate(ctx, p, 0, 2, 1, 3, nullptr, reinterpret_cast<uint32_t*>(y->data<int32_t>()));
}

// x_scale * w_scale / y_scale, one per filter.
Result<std::vector<float>> output_multipliers(const OpContext& ctx, int64_t filters) {
  FEWBIT_ASSIGN(const float x_scale, read_scale(ctx, 1));
  FEWBIT_ASSIGN(const auto w_scale, read_floats(ctx.node(), ctx.in(4), "w_scale"));
  FEWBIT_ASSIGN(const float y_scale, read_scale(ctx, 6));
  if (w_scale.size() != 1 && static_cast<int64_t>(w_scale.size()) != filters) {
    return node_error(ctx.node(), "{} weight scales for {} filters", w_scale.size(), filters);
  }
  std::vector<float> multipliers(static_cast<size_t>(filters));
  for (size_t m = 0; m < multipliers.size(); ++m) {
    multipliers[m] = x_scale * w_scale[w_scale.size() == 1 ? 0 : m] / y_scale;
  }
  return multipliers;
}

Status qlinear_conv(OpContext& ctx) {
  FEWBIT_ASSIGN(const ConvProblem p, read_conv(ctx, 0, 3));
  FEWBIT_ASSIGN(const auto multipliers, output_multipliers(ctx, p.filters));
  const DType type = ctx.in(7).type();
  FEWBIT_ASSIGN(const int32_t zero, read_zero(ctx, 7, type));
  const uint32_t* bias = nullptr;
  if (ctx.has(8)) {
    if (ctx.in(8).type() != DType::kInt32) return type_error(ctx.node(), ctx.in(8).type());
    const std::array<int64_t, 1> dims{p.filters};
    FEWBIT_TRY(need_dims(ctx, 8, dims, "the bias"));
    bias = reinterpret_cast<const uint32_t*>(ctx.in(8).data<int32_t>());
  }
  const Dims dims = p.window.output_dims(p.batch, p.filters);
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, type, dims));
  FEWBIT_ASSIGN(Tensor sums, make_tensor(ctx.node(), DType::kUint32, dims));
  FEWBIT_TRY(accumulate(ctx, p, 0, 2, 3, 5, bias, sums.data<uint32_t>()));
  return dispatch(ctx.node(), type, Codes8{}, [&](auto tag) -> Status {
    using Q = typename decltype(tag)::type;
    const int64_t plane = Window::volume(p.window.out);
    const auto* src = reinterpret_cast<const int32_t*>(sums.data<uint32_t>());
    Q* dst = y->data<Q>();
    for (int64_t row = 0; row < p.batch * p.filters; ++row) {
      const float multiplier = multipliers[static_cast<size_t>(row % p.filters)];
      for (int64_t i = row * plane; i < (row + 1) * plane; ++i) {
        dst[i] = to_code<Q>(static_cast<float>(src[i]) * multiplier, zero);
      }
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "ConvInteger", 10, conv_integer},
    {"", "QLinearConv", 10, qlinear_conv},
};

}  // namespace

std::span<const OpRow> conv_integer_table() {
  return kRows;
}

}  // namespace fewbit::ops
