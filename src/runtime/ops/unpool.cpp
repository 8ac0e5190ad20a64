// MaxUnpool, MaxRoiPool (Girshick, Fast R-CNN, 2015, section 2.1) and RoiAlign (He et al., Mask
// R-CNN, 2017, section 3).

#include <algorithm>
#include <cmath>

#include "runtime/ops/tables.h"
#include "runtime/ops/window.h"

namespace fewbit::ops {
namespace {

// The extents that MaxUnpool's indices refer to: those that the pool of the same attributes would
// have had as its input, if it had no remainder.
Result<Window> read_unpool(const OpContext& ctx) {
  const Dims& xd = ctx.in(0).dims();
  if (xd.size() < 3) {
    return node_error(ctx.node(), "the input needs a rank of at least 3, has shape {}",
                      to_string(xd));
  }
  FEWBIT_TRY(need_dims(ctx, 1, xd, "the indices"));
  if (ctx.in(1).type() != DType::kInt64) return type_error(ctx.node(), ctx.in(1).type());
  FEWBIT_ASSIGN(Window w, read_window_attributes(ctx, std::span(xd).subspan(2), {}));
  for (size_t d = 0; d < 3; ++d) {
    w.out[d] = (w.in[d] - 1) * w.stride[d] + w.kernel[d] - w.pad[d] - w.pad_end[d];
    if (w.out[d] < 0) return node_error(ctx.node(), "the pads are larger than the output");
  }
  return w;
}

// The output dimensions: the inferred ones, or those that input 2 asks for, at least as large.
Result<Dims> unpool_dims(const OpContext& ctx, const Dims& inferred) {
  if (!ctx.has(2)) return inferred;
  FEWBIT_ASSIGN(Dims asked, read_ints(ctx.node(), ctx.in(2), "output_shape"));
  bool fits = asked.size() == inferred.size();
  for (size_t i = 0; fits && i < asked.size(); ++i) {
    fits = i < 2 ? asked[i] == inferred[i] : asked[i] >= inferred[i];
  }
  if (fits) return asked;
  return node_error(ctx.node(), "output_shape {} does not hold the unpooled {}", to_string(asked),
                    to_string(inferred));
}

Status max_unpool(OpContext& ctx) {
  FEWBIT_ASSIGN(const Window w, read_unpool(ctx));
  const Tensor& x = ctx.in(0);
  const Dims inferred = w.output_dims(x.dim(0), x.dim(1));
  FEWBIT_ASSIGN(const Dims dims, unpool_dims(ctx, inferred));
  FEWBIT_ASSIGN(const int64_t inferred_elems, checked_elements(inferred, x.type()));
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), dims));
  const Dims from = strides_of(inferred), to = strides_of(dims);
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    T* out = y->data<T>();
    std::fill_n(out, y->elements(), T{0});
    for (int64_t i = 0; i < x.elements(); ++i) {
      int64_t rest = ctx.in(1).data<int64_t>()[i], at = 0;
      if (rest < 0 || rest >= inferred_elems) {
        return node_error(ctx.node(), "index {} is outside the output {}", rest,
                          to_string(inferred));
      }
      for (size_t d = 0; d < from.size(); rest %= from[d], ++d) at += rest / from[d] * to[d];
      out[at] = x.data<T>()[i];
    }
    return {};
  });
}

// Checks X [N, C, H, W] and rois [count, columns].
Status need_rois(const OpContext& ctx, int64_t columns) {
  const Tensor& x = ctx.in(0);
  const Tensor& rois = ctx.in(1);
  if (x.rank() != 4 || rois.rank() != 2 || rois.dim(1) != columns) {
    return node_error(ctx.node(), "X must be 4-D and rois [count, {}]; they are {} and {}", columns,
                      to_string(x.dims()), to_string(rois.dims()));
  }
  if (x.dim(2) < 1 || x.dim(3) < 1) return node_error(ctx.node(), "the image is empty");
  return need_same_type(ctx, 0, 1);
}

bool sensible_bins(int64_t rows, int64_t columns) {
  constexpr int64_t kMaxBins = int64_t{1} << 20;
  return rows >= 1 && columns >= 1 && rows <= kMaxBins && columns <= kMaxBins;
}

// A coordinate as an integer in [0, limit], NaN as 0.
int64_t clamp_to(double v, int64_t limit) {
  return v > 0 ? static_cast<int64_t>(std::min(v, static_cast<double>(limit))) : 0;
}

template <typename T>
void max_roi_pool_one(const T* roi, double scale, int64_t channels, int64_t height, int64_t width,
                      int64_t rows, int64_t columns, const T* image, T* y) {
  const double x1 = std::round(roi[1] * scale), y1 = std::round(roi[2] * scale);
  const double bin_h = std::max(std::round(roi[4] * scale) - y1 + 1, 1.0) / double(rows);
  const double bin_w = std::max(std::round(roi[3] * scale) - x1 + 1, 1.0) / double(columns);
  for (int64_t c = 0; c < channels; ++c, image += height * width) {
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t y0 = clamp_to(std::floor(double(r) * bin_h) + y1, height);
      const int64_t y2 = clamp_to(std::ceil(double(r + 1) * bin_h) + y1, height);
      for (int64_t k = 0; k < columns; ++k) {
        const int64_t x0 = clamp_to(std::floor(double(k) * bin_w) + x1, width);
        const int64_t x2 = clamp_to(std::ceil(double(k + 1) * bin_w) + x1, width);
        // A bin outside the image is zero.
        T best = y0 < y2 && x0 < x2 ? image[y0 * width + x0] : T{0};
        for (int64_t i = y0; i < y2; ++i) {
          for (int64_t j = x0; j < x2; ++j) best = std::max(best, image[i * width + j]);
        }
        *y++ = best;
      }
    }
  }
}

Status max_roi_pool(OpContext& ctx) {
  FEWBIT_TRY(need_rois(ctx, 5));
  const Tensor& x = ctx.in(0);
  const Tensor& rois = ctx.in(1);
  const std::vector<int64_t> shape = ctx.node().get_ints("pooled_shape");
  if (shape.size() != 2 || !sensible_bins(shape[0], shape[1])) {
    return node_error(ctx.node(), "pooled_shape must be two positive numbers");
  }
  const double scale = ctx.node().get_float("spatial_scale", 1.0F);
  FEWBIT_ASSIGN(Tensor * y,
                make_output(ctx, 0, x.type(), {rois.dim(0), x.dim(1), shape[0], shape[1]}));
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const int64_t image_elems = x.dim(1) * x.dim(2) * x.dim(3);
    for (int64_t r = 0; r < rois.dim(0); ++r) {
      const T* roi = rois.data<T>() + r * 5;
      if (!(roi[0] >= 0 && roi[0] < static_cast<T>(x.dim(0)))) {
        return node_error(ctx.node(), "batch index {} is outside [0, {})", roi[0], x.dim(0));
      }
      max_roi_pool_one(roi, scale, x.dim(1), x.dim(2), x.dim(3), shape[0], shape[1],
                       x.data<T>() + static_cast<int64_t>(roi[0]) * image_elems,
                       y->data<T>() + r * x.dim(1) * shape[0] * shape[1]);
    }
    return {};
  });
}

// One sampling point: four neighbours and their bilinear weights; none outside the image.
template <typename T>
struct Sample {
  std::array<int64_t, 4> at{};
  std::array<T, 4> weight{};
};

template <typename T>
Sample<T> bilinear(T y, T x, int64_t height, int64_t width) {
  Sample<T> s;
  if (!(y >= -1 && y <= static_cast<T>(height) && x >= -1 && x <= static_cast<T>(width))) return s;
  y = std::clamp(y, T{0}, static_cast<T>(height - 1));
  x = std::clamp(x, T{0}, static_cast<T>(width - 1));
  const auto y0 = static_cast<int64_t>(y), x0 = static_cast<int64_t>(x);
  const int64_t y1 = std::min(y0 + 1, height - 1), x1 = std::min(x0 + 1, width - 1);
  const T ly = y - static_cast<T>(y0), lx = x - static_cast<T>(x0);
  s.at = {y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1};
  s.weight = {(1 - ly) * (1 - lx), (1 - ly) * lx, ly * (1 - lx), ly * lx};
  return s;
}

struct AlignOptions {
  int64_t rows, columns, sampling_ratio;
  double scale;
  bool half_pixel, max;
};

Result<AlignOptions> read_align(const OpContext& ctx) {
  const Node& node = ctx.node();
  AlignOptions o{node.get_int("output_height", 1),
                 node.get_int("output_width", 1),
                 node.get_int("sampling_ratio", 0),
                 node.get_float("spatial_scale", 1.0F),
                 false,
                 false};
  // Before opset 16 there is no attribute and no shift by half a pixel.
  const std::string transform = node.get_string(
      "coordinate_transformation_mode", ctx.opset() < 16 ? "output_half_pixel" : "half_pixel");
  const std::string mode = node.get_string("mode", "avg");
  o.half_pixel = transform == "half_pixel";
  o.max = mode == "max";
  if ((!o.half_pixel && transform != "output_half_pixel") || (!o.max && mode != "avg")) {
    return node_error(node, "mode '{}' with '{}' is not known", mode, transform);
  }
  if (!sensible_bins(o.rows, o.columns) || o.sampling_ratio < 0) {
    return node_error(node, "output {} x {} with sampling_ratio {} makes no sense", o.rows,
                      o.columns, o.sampling_ratio);
  }
  return o;
}

// The sampling points of one region, rows x columns bins of `grid` points each.
template <typename T>
struct RoiGrid {
  int64_t per_bin = 0;
  std::vector<Sample<T>> samples;
};

template <typename T>
Result<RoiGrid<T>> sample_roi(const Node& node, const AlignOptions& o, const T* roi, int64_t height,
                              int64_t width) {
  const T offset = o.half_pixel ? T{0.5} : T{0};
  const T scale = static_cast<T>(o.scale);
  const T x0 = roi[0] * scale - offset, y0 = roi[1] * scale - offset;
  T roi_w = roi[2] * scale - offset - x0, roi_h = roi[3] * scale - offset - y0;
  if (!o.half_pixel) {
    roi_w = std::max(roi_w, T{1});
    roi_h = std::max(roi_h, T{1});
  }
  const T bin_h = roi_h / static_cast<T>(o.rows), bin_w = roi_w / static_cast<T>(o.columns);
  const double grid_h = o.sampling_ratio > 0 ? double(o.sampling_ratio) : std::ceil(double{bin_h});
  const double grid_w = o.sampling_ratio > 0 ? double(o.sampling_ratio) : std::ceil(double{bin_w});
  // Far more points than any image has pixels mean a broken region (also: infinite, NaN).
  if (!(std::max(grid_h, 0.0) * std::max(grid_w, 0.0) * double(o.rows) * double(o.columns) <=
        1e8)) {
    return node_error(node, "region [{}, {}, {}, {}] needs too many sampling points", roi[0],
                      roi[1], roi[2], roi[3]);
  }
  const auto gh = static_cast<int64_t>(std::max(grid_h, 0.0));
  const auto gw = static_cast<int64_t>(std::max(grid_w, 0.0));
  RoiGrid<T> grid{gh * gw, {}};
  grid.samples.reserve(static_cast<size_t>(o.rows * o.columns * gh * gw));
  for (int64_t r = 0; r < o.rows; ++r) {
    for (int64_t c = 0; c < o.columns; ++c) {
      for (int64_t i = 0; i < gh; ++i) {
        const T y = y0 + static_cast<T>(r) * bin_h +
                    (static_cast<T>(i) + T{0.5}) * bin_h / static_cast<T>(gh);
        for (int64_t j = 0; j < gw; ++j) {
          const T x = x0 + static_cast<T>(c) * bin_w +
                      (static_cast<T>(j) + T{0.5}) * bin_w / static_cast<T>(gw);
          grid.samples.push_back(bilinear(y, x, height, width));
        }
      }
    }
  }
  return grid;
}

// One bin of one channel. The maximum is over the weighted neighbours, as ONNX defines it.
template <typename T>
T pool_bin(const Sample<T>* samples, int64_t count, const T* image, bool max) {
  T sum = 0, best = 0;
  for (int64_t i = 0; i < count; ++i) {
    const Sample<T>& s = samples[i];
    for (size_t k = 0; k < 4; ++k) {
      const T v = s.weight[k] * image[s.at[k]];
      sum += v;
      best = i == 0 && k == 0 ? v : std::max(best, v);
    }
  }
  if (max) return best;
  return sum / static_cast<T>(std::max<int64_t>(count, 1));
}

template <typename T>
Status roi_align_typed(OpContext& ctx, const AlignOptions& o, const std::vector<int64_t>& batch,
                       Tensor& y) {
  const Tensor& x = ctx.in(0);
  const int64_t channels = x.dim(1), plane = x.dim(2) * x.dim(3), bins = o.rows * o.columns;
  for (int64_t r = 0; r < ctx.in(1).dim(0); ++r) {
    const int64_t n = batch[static_cast<size_t>(r)];
    if (n < 0 || n >= x.dim(0)) {
      return node_error(ctx.node(), "batch index {} is outside [0, {})", n, x.dim(0));
    }
    FEWBIT_ASSIGN(const RoiGrid<T> grid,
                  sample_roi(ctx.node(), o, ctx.in(1).data<T>() + r * 4, x.dim(2), x.dim(3)));
    T* out = y.data<T>() + r * channels * bins;
#pragma omp parallel for schedule(static) if (worth_threads(channels, grid.samples.size()))
    for (int64_t c = 0; c < channels; ++c) {
      const T* image = x.data<T>() + (n * channels + c) * plane;
      for (int64_t b = 0; b < bins; ++b) {
        out[c * bins + b] =
            pool_bin(grid.samples.data() + b * grid.per_bin, grid.per_bin, image, o.max);
      }
    }
  }
  return {};
}

Status roi_align(OpContext& ctx) {
  FEWBIT_TRY(need_rois(ctx, 4));
  FEWBIT_ASSIGN(const AlignOptions o, read_align(ctx));
  FEWBIT_ASSIGN(const auto batch, read_ints(ctx.node(), ctx.in(2), "batch_indices"));
  const Tensor& x = ctx.in(0);
  const int64_t count = ctx.in(1).dim(0);
  if (static_cast<int64_t>(batch.size()) != count) {
    return node_error(ctx.node(), "{} batch_indices for {} rois", batch.size(), count);
  }
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), {count, x.dim(1), o.rows, o.columns}));
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    return roi_align_typed<typename decltype(tag)::type>(ctx, o, batch, *y);
  });
}

constexpr OpRow kRows[] = {
    {"", "MaxUnpool", 9, in_float<max_unpool>},
    {"", "MaxRoiPool", 1, in_float<max_roi_pool>},
    {"", "RoiAlign", 10, in_float<roi_align>},
};

}  // namespace

std::span<const OpRow> unpool_table() {
  return kRows;
}

}  // namespace fewbit::ops
