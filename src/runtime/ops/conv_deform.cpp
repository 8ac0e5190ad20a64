// DeformConv: Dai et al., Deformable Convolutional Networks, 2017, with the modulation (mask) of
// Zhu et al., Deformable ConvNets v2, 2018, equation 1, in one to three spatial dimensions.

#include <cmath>

#include "runtime/ops/conv_core.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

struct DeformProblem {
  ConvProblem conv;
  int64_t offset_groups;
};

// offset [N, offset_group * taps * rank, out...], mask [N, offset_group * taps, out...].
Result<DeformProblem> read_deform(const OpContext& ctx) {
  FEWBIT_ASSIGN(const ConvProblem conv, read_conv(ctx, 0, 1));
  const int64_t groups = ctx.node().get_int("offset_group", 1);
  if (groups < 1 || conv.channels % groups != 0) {
    return node_error(ctx.node(), "offset_group {} does not divide {} channels", groups,
                      conv.channels);
  }
  const int64_t taps = Window::volume(conv.window.kernel);
  FEWBIT_TRY(need_dims(
      ctx, 2, conv.window.output_dims(conv.batch, groups * taps * conv.window.rank), "the offset"));
  if (ctx.has(4)) {
    FEWBIT_TRY(need_dims(ctx, 4, conv.window.output_dims(conv.batch, groups * taps), "the mask"));
  }
  if (ctx.has(3)) {
    const std::array<int64_t, 1> dims{conv.filters};
    FEWBIT_TRY(need_dims(ctx, 3, dims, "the bias"));
  }
  for (size_t i = 1; i < 5; ++i) FEWBIT_TRY(need_same_type(ctx, 0, i));
  return DeformProblem{conv, groups};
}

// Multilinear interpolation in a plane; what lies outside counts as zero.
template <typename T>
T interpolate(const Window& w, const T* plane, const std::array<T, 3>& at) {
  std::array<int64_t, 3> low{};
  std::array<T, 3> part{};
  for (size_t d = 0; d < 3; ++d) {
    if (!(at[d] > -1 && at[d] < static_cast<T>(w.in[d]))) return 0;
    const T floor = std::floor(at[d]);
    low[d] = static_cast<int64_t>(floor);
    part[d] = at[d] - floor;
  }
  T sum = 0;
  for (unsigned corner = 0; corner < 8; ++corner) {
    T weight = 1;
    int64_t index = 0;
    for (size_t d = 0; d < 3; ++d) {
      const bool high = ((corner >> d) & 1U) != 0;
      const int64_t i = low[d] + (high ? 1 : 0);
      weight *= i < 0 || i >= w.in[d] ? T{0} : (high ? part[d] : 1 - part[d]);
      index = index * w.in[d] + i;
    }
    if (weight != 0) sum += weight * plane[index];
  }
  return sum;
}

// Sampled inputs of one image: columns[channel][tap][output position], mask applied.
template <typename T>
void sample_columns(const DeformProblem& p, const T* x, const T* offset, const T* mask,
                    T* columns) {
  const Window& w = p.conv.window;
  const int64_t out = Window::volume(w.out), taps = Window::volume(w.kernel);
  const int64_t in = Window::volume(w.in), per_group = p.conv.channels / p.offset_groups;
  const auto skip = static_cast<size_t>(3 - w.rank);
#pragma omp parallel for schedule(static) if (worth_threads(p.conv.channels, taps, out))
  for (int64_t c = 0; c < p.conv.channels; ++c) {
    const int64_t group = c / per_group;
    for (int64_t k = 0; k < taps; ++k) {
      const Window::Extent tap{k / (w.kernel[1] * w.kernel[2]), k / w.kernel[2] % w.kernel[1],
                               k % w.kernel[2]};
      for (int64_t o = 0; o < out; ++o) {
        const Window::Extent place{o / (w.out[1] * w.out[2]), o / w.out[2] % w.out[1],
                                   o % w.out[2]};
        std::array<T, 3> at{};
        for (size_t d = skip; d < 3; ++d) {
          const int64_t row = (group * taps + k) * w.rank + static_cast<int64_t>(d - skip);
          at[d] = static_cast<T>(place[d] * w.stride[d] + tap[d] * w.dilation[d] - w.pad[d]) +
                  offset[row * out + o];
        }
        T v = interpolate(w, x + c * in, at);
        if (mask != nullptr) v *= mask[(group * taps + k) * out + o];
        columns[(c * taps + k) * out + o] = v;
      }
    }
  }
}

template <typename T>
Status deform_typed(OpContext& ctx, const DeformProblem& p) {
  const Window& w = p.conv.window;
  const int64_t taps = Window::volume(w.kernel), out = Window::volume(w.out);
  FEWBIT_ASSIGN(Tensor * y,
                make_output(ctx, 0, ctx.in(0).type(), w.output_dims(p.conv.batch, p.conv.filters)));
  FEWBIT_ASSIGN(Tensor columns,
                make_tensor(ctx.node(), ctx.in(0).type(), {p.conv.channels, taps, out}));
  // What is left is a convolution with a 1 x 1 window whose channels are (channel, tap).
  ConvProblem flat{{}, 1, p.conv.channels * taps, p.conv.filters, p.conv.groups};
  flat.window.rank = 1;
  flat.window.in[2] = flat.window.out[2] = out;
  const T* bias = ctx.has(3) ? ctx.in(3).data<T>() : nullptr;
  for (int64_t n = 0; n < p.conv.batch; ++n) {
    const T* mask = ctx.has(4) ? ctx.in(4).data<T>() + n * p.offset_groups * taps * out : nullptr;
    sample_columns(p, ctx.in(0).data<T>() + n * p.conv.channels * Window::volume(w.in),
                   ctx.in(2).data<T>() + n * p.offset_groups * taps * w.rank * out, mask,
                   columns.data<T>());
    convolve(flat, columns.data<T>(), ctx.in(1).data<T>(), bias,
             y->data<T>() + n * p.conv.filters * out);
  }
  return {};
}

Status deform_conv(OpContext& ctx) {
  FEWBIT_ASSIGN(const DeformProblem p, read_deform(ctx));
  return dispatch(ctx.node(), ctx.in(0).type(), Floats{}, [&](auto tag) -> Status {
    return deform_typed<typename decltype(tag)::type>(ctx, p);
  });
}

constexpr OpRow kRows[] = {
    {"", "DeformConv", 19, in_float<deform_conv>},
};

}  // namespace

std::span<const OpRow> conv_deform_table() {
  return kRows;
}

}  // namespace fewbit::ops
