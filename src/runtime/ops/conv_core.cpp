#include "runtime/ops/conv_core.h"

#include <algorithm>

namespace fewbit::ops {
namespace {

// One pass over an output plane per weight: y[o] += weight * x[o * stride + k * dilation - pad].
// The innermost loop runs along contiguous rows; padding is left out by the range of `o`.
template <typename T>
void add_tap(const Window& w, const std::array<Range, 3>& range, const Window::Extent& k, T weight,
             const T* x, T* y) {
  for (int64_t oz = range[0].first; oz < range[0].last; ++oz) {
    const int64_t iz = oz * w.stride[0] + k[0] * w.dilation[0] - w.pad[0];
    for (int64_t oy = range[1].first; oy < range[1].last; ++oy) {
      const int64_t iy = oy * w.stride[1] + k[1] * w.dilation[1] - w.pad[1];
      const T* src = x + (iz * w.in[1] + iy) * w.in[2];
      T* dst = y + (oz * w.out[1] + oy) * w.out[2];
      int64_t ix = range[2].first * w.stride[2] + k[2] * w.dilation[2] - w.pad[2];
      if (w.stride[2] == 1) {
        for (int64_t ox = range[2].first; ox < range[2].last; ++ox, ++ix)
          dst[ox] += weight * src[ix];
      } else {
        for (int64_t ox = range[2].first; ox < range[2].last; ++ox, ix += w.stride[2]) {
          dst[ox] += weight * src[ix];
        }
      }
    }
  }
}

// The transposed tap: y[i * stride + k * dilation - pad] += weight * x[i]. `range` is over i.
template <typename T>
void scatter_tap(const Window& w, const std::array<Range, 3>& range, const Window::Extent& k,
                 T weight, const T* x, T* y) {
  for (int64_t iz = range[0].first; iz < range[0].last; ++iz) {
    const int64_t oz = iz * w.stride[0] + k[0] * w.dilation[0] - w.pad[0];
    for (int64_t iy = range[1].first; iy < range[1].last; ++iy) {
      const int64_t oy = iy * w.stride[1] + k[1] * w.dilation[1] - w.pad[1];
      const T* src = x + (iz * w.in[1] + iy) * w.in[2];
      T* dst = y + (oz * w.out[1] + oy) * w.out[2];
      int64_t ox = range[2].first * w.stride[2] + k[2] * w.dilation[2] - w.pad[2];
      for (int64_t ix = range[2].first; ix < range[2].last; ++ix, ox += w.stride[2]) {
        dst[ox] += weight * src[ix];
      }
    }
  }
}

template <typename F>
void for_each_tap(const Window& w, const F& tap) {
  int64_t index = 0;
  Window::Extent k;
  for (k[0] = 0; k[0] < w.kernel[0]; ++k[0]) {
    for (k[1] = 0; k[1] < w.kernel[1]; ++k[1]) {
      for (k[2] = 0; k[2] < w.kernel[2]; ++k[2]) tap(k, index++);
    }
  }
}

// A window of one element without padding is a product of matrices: let the rows be whole planes.
Window flattened(const Window& w) {
  const Window::Extent one{1, 1, 1}, zero{0, 0, 0};
  if (w.kernel != one || w.stride != one || w.pad != zero || w.pad_end != zero) return w;
  Window flat;
  flat.rank = 1;
  flat.in[2] = Window::volume(w.in);
  flat.out[2] = flat.in[2];
  return flat;
}

}  // namespace

template <typename T>
void convolve(const ConvProblem& p, const T* x, const T* w, const T* bias, T* y) {
  const Window win = flattened(p.window);
  const int64_t in_elems = Window::volume(win.in), out_elems = Window::volume(win.out);
  const int64_t kernel_elems = Window::volume(win.kernel);
  const int64_t group_channels = p.channels / p.groups, group_filters = p.filters / p.groups;
  const bool parallel = worth_threads(p.batch, p.filters, out_elems, kernel_elems, group_channels);
#pragma omp parallel for collapse(2) schedule(static) if (parallel)
  for (int64_t n = 0; n < p.batch; ++n) {
    for (int64_t m = 0; m < p.filters; ++m) {
      T* plane = y + (n * p.filters + m) * out_elems;
      std::fill_n(plane, out_elems, bias != nullptr ? bias[m] : T{0});
      const int64_t first_channel = m / group_filters * group_channels;
      for (int64_t c = 0; c < group_channels; ++c) {
        const T* src = x + (n * p.channels + first_channel + c) * in_elems;
        const T* taps = w + (m * group_channels + c) * kernel_elems;
        for_each_tap(win, [&](const Window::Extent& k, int64_t i) {
          add_tap(win, {inside(win, 0, k[0]), inside(win, 1, k[1]), inside(win, 2, k[2])}, k,
                  taps[i], src, plane);
        });
      }
    }
  }
}

template <typename T>
void convolve_transposed(const ConvProblem& p, const T* x, const T* w, const T* bias, T* y) {
  const Window& win = p.window;
  const int64_t in_elems = Window::volume(win.in), out_elems = Window::volume(win.out);
  const int64_t kernel_elems = Window::volume(win.kernel);
  const int64_t group_channels = p.channels / p.groups, group_filters = p.filters / p.groups;
  const bool parallel = worth_threads(p.batch, p.filters, in_elems, kernel_elems, group_channels);
  // The positions of the smaller side that land inside the larger one are those of the forward
  // convolution with both sides exchanged.
  Window mirrored = win;
  std::swap(mirrored.in, mirrored.out);
#pragma omp parallel for collapse(2) schedule(static) if (parallel)
  for (int64_t n = 0; n < p.batch; ++n) {
    for (int64_t m = 0; m < p.filters; ++m) {
      T* plane = y + (n * p.filters + m) * out_elems;
      std::fill_n(plane, out_elems, bias != nullptr ? bias[m] : T{0});
      const int64_t group = m / group_filters;
      for (int64_t c = group * group_channels; c < (group + 1) * group_channels; ++c) {
        const T* src = x + (n * p.channels + c) * in_elems;
        const T* taps = w + (c * group_filters + m % group_filters) * kernel_elems;
        for_each_tap(win, [&](const Window::Extent& k, int64_t i) {
          scatter_tap(
              win,
              {inside(mirrored, 0, k[0]), inside(mirrored, 1, k[1]), inside(mirrored, 2, k[2])}, k,
              taps[i], src, plane);
        });
      }
    }
  }
}

template void convolve(const ConvProblem&, const float*, const float*, const float*, float*);
template void convolve(const ConvProblem&, const double*, const double*, const double*, double*);
template void convolve(const ConvProblem&, const uint32_t*, const uint32_t*, const uint32_t*,
                       uint32_t*);
template void convolve_transposed(const ConvProblem&, const float*, const float*, const float*,
                                  float*);
template void convolve_transposed(const ConvProblem&, const double*, const double*, const double*,
                                  double*);

Result<ConvProblem> read_conv(const OpContext& ctx, size_t x, size_t w) {
  const Node& node = ctx.node();
  const Dims& xd = ctx.in(x).dims();
  const Dims& wd = ctx.in(w).dims();
  if (xd.size() < 3 || wd.size() != xd.size()) {
    return node_error(node, "input {} and weights {} must have the same rank, at least 3",
                      to_string(xd), to_string(wd));
  }
  ConvProblem p{{}, xd[0], xd[1], wd[0], node.get_int("group", 1)};
  if (p.groups < 1 || p.channels % p.groups != 0 || p.filters % p.groups != 0 ||
      p.channels / p.groups != wd[1]) {
    return node_error(node, "group {} does not fit input {} and weights {}", p.groups,
                      to_string(xd), to_string(wd));
  }
  FEWBIT_ASSIGN(p.window, read_window(ctx, std::span(xd).subspan(2), std::span(wd).subspan(2),
                                      /*ceil_mode=*/false));
  return p;
}

}  // namespace fewbit::ops
