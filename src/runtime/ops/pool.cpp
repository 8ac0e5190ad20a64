// MaxPool, AveragePool, LpPool and their global forms.

#include "runtime/ops/pool.h"

#include <cmath>
#include <limits>

#include "runtime/ops/tables.h"

namespace fewbit::ops {

Range kernel_range(const Window& w, size_t dim, int64_t origin, int64_t low, int64_t high) {
  const int64_t step = w.dilation[dim];
  const int64_t first = origin >= low ? 0 : (low - origin + step - 1) / step;
  const int64_t last =
      origin >= high ? 0 : std::min(w.kernel[dim], (high - origin + step - 1) / step);
  return {first, last};
}

int64_t padded_count(const Window& w, const Window::Extent& origin) {
  int64_t n = 1;
  for (size_t d = 0; d < 3; ++d) {
    const Range r = kernel_range(w, d, origin[d], -w.pad[d], w.in[d] + w.pad_end[d]);
    n *= std::max<int64_t>(0, r.last - r.first);
  }
  return n;
}

Result<Window> read_pool(const OpContext& ctx, size_t i) {
  const Dims& dims = ctx.in(i).dims();
  if (dims.size() < 3) {
    return node_error(ctx.node(), "the input needs a rank of at least 3, has shape {}",
                      to_string(dims));
  }
  return read_window(ctx, std::span(dims).subspan(2), {}, ctx.node().get_int("ceil_mode", 0) != 0);
}

namespace {

// Calls f(input plane, output plane, plane index) for each of the N * C planes.
template <typename T, typename F>
void for_each_plane(const Window& w, const Tensor& x, Tensor& y, const F& f) {
  const int64_t planes = x.dim(0) * x.dim(1);
  const int64_t in_elems = Window::volume(w.in), out_elems = Window::volume(w.out);
  const T* src = x.data<T>();
  T* dst = y.data<T>();
#pragma omp parallel for schedule(static) if (worth_threads(planes, std::max(in_elems, out_elems)))
  for (int64_t p = 0; p < planes; ++p) f(src + p * in_elems, dst + p * out_elems, p);
}

// Strides of the spatial dimensions in MaxPool's Indices: row-major, or column-major.
Window::Extent index_strides(const Window& w, bool column_major) {
  if (column_major) return {1, w.in[0], w.in[0] * w.in[1]};
  return {w.in[1] * w.in[2], w.in[2], 1};
}

Status max_pool(OpContext& ctx) {
  FEWBIT_ASSIGN(const Window w, read_pool(ctx, 0));
  const Tensor& x = ctx.in(0);
  const Dims dims = w.output_dims(x.dim(0), x.dim(1));
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), dims));
  int64_t* indices = nullptr;
  if (ctx.wants(1)) {
    FEWBIT_ASSIGN(Tensor * index_tensor, make_output(ctx, 1, DType::kInt64, dims));
    indices = index_tensor->data<int64_t>();
  }
  const auto strides = index_strides(w, ctx.node().get_int("storage_order", 0) == 1);
  const int64_t in_elems = Window::volume(w.in), out_elems = Window::volume(w.out);
  return dispatch(
      ctx.node(), x.type(), Types<float, double, int8_t, uint8_t>{}, [&](auto tag) -> Status {
        using T = typename decltype(tag)::type;
        for_each_plane<T>(w, x, *y, [&](const T* src, T* dst, int64_t plane) {
          for_each_window(w, [&](int64_t o, const Taps& taps) {
            T best = std::numeric_limits<T>::lowest();
            int64_t best_at = -1;
            taps.for_each(w, [&](int64_t i) {
              // The first element always enters, and a NaN stays once it is found.
              if (best_at < 0 || src[i] > best || src[i] != src[i]) {
                best = src[i];
                best_at = i;
              }
            });
            dst[o] = best;
            if (indices == nullptr) return;
            const int64_t iz = best_at / (w.in[1] * w.in[2]), iy = best_at / w.in[2] % w.in[1];
            indices[plane * out_elems + o] = best_at < 0 ? -1
                                                         : plane * in_elems + iz * strides[0] +
                                                               iy * strides[1] +
                                                               best_at % w.in[2] * strides[2];
          });
        });
        return {};
      });
}

Status average_pool(OpContext& ctx) {
  FEWBIT_ASSIGN(const Window w, read_pool(ctx, 0));
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), w.output_dims(x.dim(0), x.dim(1))));
  const bool include_pad = ctx.node().get_int("count_include_pad", 0) != 0;
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    for_each_plane<T>(w, x, *y, [&](const T* src, T* dst, int64_t) {
      const auto count = [&](const Taps& taps) {
        return include_pad ? padded_count(w, taps.origin) : taps.count();
      };
      average_plane(w, src, 0.0, count, [&](int64_t o, double v) { dst[o] = static_cast<T>(v); });
    });
    return {};
  });
}

double power(double magnitude, double p) {
  if (p == 1.0) return magnitude;
  return p == 2.0 ? magnitude * magnitude : std::pow(magnitude, p);
}

double root(double sum, double p) {
  if (p == 1.0) return sum;
  return p == 2.0 ? std::sqrt(sum) : std::pow(sum, 1.0 / p);
}

Result<double> read_norm_order(const OpContext& ctx) {
  const int64_t p = ctx.node().get_int("p", 2);
  if (p < 1) return node_error(ctx.node(), "p must be at least 1, is {}", p);
  return static_cast<double>(p);
}

Status lp_pool(OpContext& ctx) {
  FEWBIT_ASSIGN(const Window w, read_pool(ctx, 0));
  FEWBIT_ASSIGN(const double p, read_norm_order(ctx));
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), w.output_dims(x.dim(0), x.dim(1))));
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    for_each_plane<T>(w, x, *y, [&](const T* src, T* dst, int64_t) {
      for_each_window(w, [&](int64_t o, const Taps& taps) {
        double sum = 0;
        taps.for_each(w, [&](int64_t i) { sum += power(std::fabs(double{src[i]}), p); });
        dst[o] = static_cast<T>(root(sum, p));
      });
    });
    return {};
  });
}

// Global pools reduce every plane to one element: fold(plane, elements) in double.
template <typename Fold>
Status global_pool(OpContext& ctx, const Fold& fold) {
  const Tensor& x = ctx.in(0);
  if (x.rank() < 3) {
    return node_error(ctx.node(), "the input needs a rank of at least 3, has shape {}",
                      to_string(x.dims()));
  }
  Dims dims(x.dims().size(), 1);
  dims[0] = x.dim(0);
  dims[1] = x.dim(1);
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), dims));
  const int64_t planes = y->elements();
  if (planes == 0) return {};
  const int64_t plane_elems = x.elements() / planes;
  if (plane_elems == 0) return node_error(ctx.node(), "a spatial dimension is empty");
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const T* src = x.data<T>();
    T* dst = y->data<T>();
#pragma omp parallel for schedule(static) if (worth_threads(planes, plane_elems))
    for (int64_t p = 0; p < planes; ++p) {
      dst[p] = static_cast<T>(fold(src + p * plane_elems, plane_elems));
    }
    return {};
  });
}

Status global_average_pool(OpContext& ctx) {
  return global_pool(ctx, [](const auto* x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += x[i];
    return sum / static_cast<double>(n);
  });
}

Status global_max_pool(OpContext& ctx) {
  return global_pool(ctx, [](const auto* x, int64_t n) {
    auto best = x[0];
    for (int64_t i = 1; i < n; ++i) {
      if (x[i] > best || x[i] != x[i]) best = x[i];
    }
    return best;
  });
}

Status global_lp_pool(OpContext& ctx) {
  FEWBIT_ASSIGN(const double p, read_norm_order(ctx));
  return global_pool(ctx, [p](const auto* x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += power(std::fabs(double{x[i]}), p);
    return root(sum, p);
  });
}

constexpr OpRow kRows[] = {
    {"", "MaxPool", 1, in_float<max_pool>},
    {"", "AveragePool", 1, in_float<average_pool>},
    {"", "LpPool", 2, in_float<lp_pool>},
    {"", "GlobalAveragePool", 1, in_float<global_average_pool>},
    {"", "GlobalMaxPool", 1, in_float<global_max_pool>},
    {"", "GlobalLpPool", 2, in_float<global_lp_pool>},
};

}  // namespace

std::span<const OpRow> pool_table() {
  return kRows;
}

}  // namespace fewbit::ops
