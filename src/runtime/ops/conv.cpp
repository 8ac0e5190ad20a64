// Conv and ConvTranspose. The loops are in conv_core.cpp; ConvInteger and QLinearConv in
// conv_integer.cpp, DeformConv in conv_deform.cpp.

#include <algorithm>

#include "runtime/ops/conv_core.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

// Pointer to the bias of input 2, nullptr if there is none.
template <typename T>
Result<const T*> read_bias(const OpContext& ctx, int64_t filters) {
  if (!ctx.has(2)) return static_cast<const T*>(nullptr);
  const std::array<int64_t, 1> dims{filters};
  FEWBIT_TRY(need_dims(ctx, 2, dims, "the bias"));
  FEWBIT_TRY(need_same_type(ctx, 0, 2));
  return ctx.in(2).data<T>();
}

// Conv and ConvTranspose once their geometry is known.
template <bool transposed>
Status run_conv(OpContext& ctx, const ConvProblem& p) {
  FEWBIT_TRY(need_same_type(ctx, 0, 1));
  const DType type = ctx.in(0).type();
  return dispatch(ctx.node(), type, Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    FEWBIT_ASSIGN(const T* bias, read_bias<T>(ctx, p.filters));
    FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, type, p.window.output_dims(p.batch, p.filters)));
    const T* x = ctx.in(0).data<T>();
    const T* w = ctx.in(1).data<T>();
    if constexpr (transposed) {
      convolve_transposed(p, x, w, bias, y->data<T>());
    } else {
      convolve(p, x, w, bias, y->data<T>());
    }
    return {};
  });
}

Status conv(OpContext& ctx) {
  FEWBIT_ASSIGN(const ConvProblem p, read_conv(ctx, 0, 1));
  return run_conv<false>(ctx, p);
}

// Extents and padding of ConvTranspose (ONNX operator text): explicit pads give the output shape;
// output_shape or auto_pad give the pads. An output larger than the taps reach is filled with the
// bias at its end.
Status set_transposed_output(const Node& node, Window& w) {
  const auto rank = static_cast<size_t>(w.rank);
  const std::string auto_pad = node.get_string("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  std::vector<int64_t> shape = node.get_ints("output_shape");
  if (shape.size() > rank) shape.erase(shape.begin(), shape.end() - w.rank);
  std::vector<int64_t> extra = node.get_ints("output_padding", std::vector<int64_t>(rank, 0));
  if (extra.size() != rank || (!shape.empty() && shape.size() != rank)) {
    return node_error(node, "output_padding and output_shape need {} values", rank);
  }
  for (size_t i = 0; i < rank; ++i) {
    const size_t d = 3 - rank + i;
    if (extra[i] < 0 || extra[i] >= std::max(w.stride[d], w.dilation[d])) {
      return node_error(node, "output_padding {} must be below the stride or the dilation",
                        to_string(extra));
    }
    if (w.in[d] < 1) return node_error(node, "the input is empty");
    const int64_t reach =
        (w.in[d] - 1) * w.stride[d] + extra[i] + (w.kernel[d] - 1) * w.dilation[d] + 1;
    if (shape.empty() && !same) {
      w.out[d] = reach - w.pad[d] - w.pad_end[d];
    } else {
      w.out[d] = shape.empty() ? w.in[d] * w.stride[d] : shape[i];
      const int64_t total = std::max<int64_t>(0, reach - w.out[d]);
      w.pad[d] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
    }
    if (w.out[d] < 1) {
      return node_error(node, "the output would have extent {}", w.out[d]);
    }
  }
  return {};
}

Result<ConvProblem> read_conv_transpose(const OpContext& ctx) {
  const Node& node = ctx.node();
  const Dims& xd = ctx.in(0).dims();
  const Dims& wd = ctx.in(1).dims();
  const int64_t groups = node.get_int("group", 1);
  if (xd.size() < 3 || wd.size() != xd.size() || groups < 1 || xd[1] % groups != 0 ||
      wd[0] != xd[1]) {
    return node_error(node, "input {}, weights {} and group {} do not fit", to_string(xd),
                      to_string(wd), groups);
  }
  ConvProblem p{{}, xd[0], xd[1], 0, groups};
  if (__builtin_mul_overflow(wd[1], groups, &p.filters)) {
    return node_error(node, "group {} is too large", groups);
  }
  FEWBIT_ASSIGN(p.window,
                read_window_attributes(ctx, std::span(xd).subspan(2), std::span(wd).subspan(2)));
  FEWBIT_TRY(set_transposed_output(node, p.window));
  return p;
}

Status conv_transpose(OpContext& ctx) {
  FEWBIT_ASSIGN(const ConvProblem p, read_conv_transpose(ctx));
  return run_conv<true>(ctx, p);
}

constexpr OpRow kRows[] = {
    {"", "Conv", 1, in_float<conv>},
    {"", "ConvTranspose", 1, in_float<conv_transpose>},
};

}  // namespace

std::span<const OpRow> conv_table() {
  return kRows;
}

}  // namespace fewbit::ops
