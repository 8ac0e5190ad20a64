// Resize (opset 10 on) and Upsample: one pass per axis that changes, in float or double.

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/resize_axis.h"
#include "runtime/ops/tables.h"
#include "runtime/ops/window.h"

namespace fewbit::ops {
namespace {

// What the inputs say, whatever the version: extents, scales and regions per axis of X.
struct ResizePlan {
  ResizeOptions options;
  Dims dims;
  std::vector<ResizeAxis> axes;  ///< only those that change something
};

Result<ResizeMode> read_mode(const Node& node) {
  const std::string mode = node.get_string("mode", "nearest");
  if (mode == "nearest") return ResizeMode::kNearest;
  if (mode == "linear" || mode == "bilinear") return ResizeMode::kLinear;
  if (mode == "cubic") return ResizeMode::kCubic;
  return node_error(node, "mode '{}' is not known", mode);
}

Result<ResizeOptions> read_options(const OpContext& ctx) {
  const Node& node = ctx.node();
  ResizeOptions o;
  FEWBIT_ASSIGN(o.mode, read_mode(node));
  if (node.op_type == "Upsample" || ctx.opset() < 11) {
    // Before opset 11 there was one way: x / scale, rounded down.
    o.coordinates = "asymmetric";
    o.nearest = "floor";
    return o;
  }
  o.coordinates = node.get_string("coordinate_transformation_mode", o.coordinates);
  o.nearest = node.get_string("nearest_mode", o.nearest);
  o.cubic_a = node.get_float("cubic_coeff_a", -0.75F);
  o.exclude_outside = node.get_int("exclude_outside", 0) != 0;
  o.antialias = node.get_int("antialias", 0) != 0 && o.mode != ResizeMode::kNearest;
  o.extrapolation = node.get_float("extrapolation_value", 0.0F);
  return o;
}

// Numbers of a float input, empty if it was not given.
Result<std::vector<double>> read_doubles(const OpContext& ctx, size_t i) {
  if (!ctx.has(i)) return std::vector<double>();
  if (!is_float(ctx.in(i).type())) return type_error(ctx.node(), ctx.in(i).type());
  FEWBIT_ASSIGN(const Tensor t, cast(ctx.in(i), DType::kFloat64));
  return std::vector<double>(t.span<double>().begin(), t.span<double>().end());
}

Result<std::vector<int64_t>> read_resize_axes(const OpContext& ctx) {
  const int64_t rank = ctx.in(0).rank();
  std::vector<int64_t> axes = ctx.node().get_ints("axes");
  if (axes.empty()) {
    for (int64_t i = 0; i < rank; ++i) axes.push_back(i);
  }
  return normalize_axes(ctx.node(), std::move(axes), rank);
}

// Extents from `scales`: floor(in * scale), in float as the models that export them mean it.
Result<std::vector<ResizeAxis>> axes_from_scales(const OpContext& ctx,
                                                 const std::vector<int64_t>& axes,
                                                 const std::vector<double>& scales) {
  if (scales.size() != axes.size()) {
    return node_error(ctx.node(), "{} scales for {} axes", scales.size(), axes.size());
  }
  std::vector<ResizeAxis> result;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t in = ctx.in(0).dim(axes[i]);
    const float extent = std::floor(static_cast<float>(in) * static_cast<float>(scales[i]));
    if (!(scales[i] > 0) || !(extent < 1e15F)) {
      return node_error(ctx.node(), "scale {} makes no sense", scales[i]);
    }
    result.push_back({static_cast<size_t>(axes[i]), in, static_cast<int64_t>(extent), scales[i]});
  }
  return result;
}

// Extents from `sizes`; keep_aspect_ratio_policy makes all axes share one scale.
Result<std::vector<ResizeAxis>> axes_from_sizes(const OpContext& ctx,
                                                const std::vector<int64_t>& axes, size_t input) {
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(const auto sizes, read_ints(node, ctx.in(input), "sizes"));
  if (sizes.size() != axes.size()) {
    return node_error(node, "{} sizes for {} axes", sizes.size(), axes.size());
  }
  std::vector<ResizeAxis> result;
  double smallest = INFINITY, largest = 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t in = ctx.in(0).dim(axes[i]);
    if (sizes[i] < 0 || (in == 0) != (sizes[i] == 0)) {
      return node_error(node, "an extent of {} cannot become {}", in, sizes[i]);
    }
    const double scale = in == 0 ? 1 : static_cast<double>(sizes[i]) / static_cast<double>(in);
    smallest = std::min(smallest, scale);
    largest = std::max(largest, scale);
    result.push_back({static_cast<size_t>(axes[i]), in, sizes[i], scale});
  }
  const std::string policy = node.get_string("keep_aspect_ratio_policy", "stretch");
  if (policy == "stretch") return result;
  if (policy != "not_larger" && policy != "not_smaller") {
    return node_error(node, "keep_aspect_ratio_policy '{}' is not known", policy);
  }
  for (ResizeAxis& a : result) {
    a.scale = policy == "not_larger" ? smallest : largest;
    const double extent = std::floor(a.scale * static_cast<double>(a.in) + 0.5);
    if (!(extent < 1e15)) return node_error(node, "scale {} makes no sense", a.scale);
    a.out = static_cast<int64_t>(extent);
  }
  return result;
}

Status set_regions(const OpContext& ctx, ResizePlan& plan) {
  if (plan.options.coordinates != "tf_crop_and_resize") return {};
  FEWBIT_ASSIGN(const auto roi, read_doubles(ctx, 1));
  if (roi.size() != 2 * plan.axes.size()) {
    return node_error(ctx.node(), "roi has {} values for {} axes", roi.size(), plan.axes.size());
  }
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    plan.axes[i].roi_start = roi[i];
    plan.axes[i].roi_end = roi[plan.axes.size() + i];
  }
  return {};
}

Result<ResizePlan> finish_plan(const OpContext& ctx, ResizePlan plan) {
  FEWBIT_TRY(set_regions(ctx, plan));
  plan.dims = ctx.in(0).dims();
  std::vector<ResizeAxis> changing;
  for (const ResizeAxis& a : plan.axes) {
    plan.dims[a.axis] = a.out;
    if (a.in == 0 && a.out != 0) return node_error(ctx.node(), "the input is empty");
    if (a.scale != 1 || a.out != a.in || a.roi_start != 0 || a.roi_end != 1) changing.push_back(a);
  }
  plan.axes = std::move(changing);
  return plan;
}

Result<ResizePlan> read_resize(const OpContext& ctx) {
  ResizePlan plan;
  FEWBIT_ASSIGN(plan.options, read_options(ctx));
  FEWBIT_ASSIGN(const auto axes, read_resize_axes(ctx));
  // Inputs: X, scales before opset 11; X, roi, scales, sizes from then on.
  FEWBIT_ASSIGN(const auto scales, read_doubles(ctx, ctx.opset() < 11 ? 1 : 2));
  if (!scales.empty()) {
    FEWBIT_ASSIGN(plan.axes, axes_from_scales(ctx, axes, scales));
  } else if (ctx.opset() >= 11 && ctx.has(3)) {
    FEWBIT_ASSIGN(plan.axes, axes_from_sizes(ctx, axes, 3));
  } else if (!axes.empty()) {
    return node_error(ctx.node(), "neither scales nor sizes are given");
  }
  return finish_plan(ctx, std::move(plan));
}

Result<ResizePlan> read_upsample(const OpContext& ctx) {
  ResizePlan plan;
  FEWBIT_ASSIGN(plan.options, read_options(ctx));
  FEWBIT_ASSIGN(const auto axes, read_resize_axes(ctx));
  std::vector<double> scales;
  if (ctx.opset() >= 9) {
    FEWBIT_ASSIGN(scales, read_doubles(ctx, 1));
  } else {
    const std::vector<float> attribute = ctx.node().get_floats("scales");
    scales.assign(attribute.begin(), attribute.end());
  }
  FEWBIT_ASSIGN(plan.axes, axes_from_scales(ctx, axes, scales));
  return finish_plan(ctx, std::move(plan));
}

// y = x resized along one axis; both [outer, axis, inner].
template <typename T>
void resize_axis(const ResizeWeights& w, const ResizeAxis& a, T extrapolation, int64_t outer,
                 int64_t inner, const T* x, T* y) {
#pragma omp parallel for collapse(2) \
    schedule(static) if (worth_threads(outer, a.out, w.taps, inner))
  for (int64_t n = 0; n < outer; ++n) {
    for (int64_t o = 0; o < a.out; ++o) {
      T* dst = y + (n * a.out + o) * inner;
      if (!w.outside.empty() && w.outside[static_cast<size_t>(o)]) {
        std::fill_n(dst, inner, extrapolation);
        continue;
      }
      std::fill_n(dst, inner, T{0});
      for (int64_t t = o * w.taps; t < (o + 1) * w.taps; ++t) {
        const T weight = static_cast<T>(w.weight[static_cast<size_t>(t)]);
        const T* src = x + (n * a.in + w.index[static_cast<size_t>(t)]) * inner;
        for (int64_t i = 0; i < inner; ++i) dst[i] += weight * src[i];
      }
    }
  }
}

template <typename T>
Result<Tensor> resize_typed(const OpContext& ctx, const ResizePlan& plan, Tensor x) {
  for (const ResizeAxis& a : plan.axes) {
    FEWBIT_ASSIGN(const ResizeWeights w, resize_weights(ctx.node(), plan.options, a));
    const auto axis = static_cast<int64_t>(a.axis);
    Dims dims = x.dims();
    dims[a.axis] = a.out;
    FEWBIT_ASSIGN(Tensor y, make_tensor(ctx.node(), x.type(), dims));
    resize_axis(w, a, static_cast<T>(plan.options.extrapolation), product(dims, 0, axis),
                product(dims, axis + 1, x.rank()), std::as_const(x).data<T>(), y.data<T>());
    x = std::move(y);
  }
  return x;
}

// Nearest elements of any type: along each axis a list of positions.
template <typename T>
void gather_axis(const ResizeWeights& w, const ResizeAxis& a, const Tensor& x, Tensor& y) {
  const auto axis = static_cast<int64_t>(a.axis);
  const int64_t outer = product(x.dims(), 0, axis), inner = product(x.dims(), axis + 1, x.rank());
  const T* src = elements<T>(x);
  T* dst = elements<T>(y);
  for (int64_t n = 0; n < outer; ++n) {
    for (int64_t o = 0; o < a.out; ++o) {
      std::copy_n(src + (n * a.in + w.index[static_cast<size_t>(o)]) * inner, inner,
                  dst + (n * a.out + o) * inner);
    }
  }
}

Result<Tensor> resize_nearest(const OpContext& ctx, const ResizePlan& plan) {
  Tensor x = ctx.in(0);
  for (const ResizeAxis& a : plan.axes) {
    FEWBIT_ASSIGN(const ResizeWeights w, resize_weights(ctx.node(), plan.options, a));
    Dims dims = x.dims();
    dims[a.axis] = a.out;
    FEWBIT_ASSIGN(Tensor y, make_tensor(ctx.node(), x.type(), dims));
    FEWBIT_TRY(dispatch_storage(ctx.node(), x.type(), [&](auto tag) -> Status {
      gather_axis<typename decltype(tag)::type>(w, a, x, y);
      return {};
    }));
    x = std::move(y);
  }
  return x;
}

// Interpolated values of an integer type are cut off toward zero, within the type's range.
Result<Tensor> to_storage(const OpContext& ctx, const Tensor& values, DType type) {
  if (!is_integer(type)) return cast(values, type);
  FEWBIT_ASSIGN(Tensor out, make_tensor(ctx.node(), type, values.dims()));
  FEWBIT_TRY(dispatch(ctx.node(), type, Integers{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    constexpr auto kLow = static_cast<double>(std::numeric_limits<T>::lowest());
    constexpr auto kEnd = static_cast<double>(std::numeric_limits<T>::max());
    for (int64_t i = 0; i < values.elements(); ++i) {
      const double v = values.data<double>()[i];
      out.data<T>()[i] =
          v >= kEnd ? std::numeric_limits<T>::max() : static_cast<T>(v > kLow ? v : kLow);
    }
    return {};
  }));
  return out;
}

Status run_plan(OpContext& ctx, const ResizePlan& plan) {
  const DType type = ctx.in(0).type();
  Tensor y;
  if (plan.options.mode == ResizeMode::kNearest &&
      plan.options.coordinates != "tf_crop_and_resize") {
    FEWBIT_ASSIGN(y, resize_nearest(ctx, plan));
  } else if (type == DType::kFloat32 || type == DType::kFloat16 || type == DType::kBfloat16) {
    FEWBIT_ASSIGN(Tensor x, cast(ctx.in(0), DType::kFloat32));
    FEWBIT_ASSIGN(x, resize_typed<float>(ctx, plan, std::move(x)));
    FEWBIT_ASSIGN(y, to_storage(ctx, x, type));
  } else if (type == DType::kFloat64 || is_integer(type)) {
    FEWBIT_ASSIGN(Tensor x, cast(ctx.in(0), DType::kFloat64));
    FEWBIT_ASSIGN(x, resize_typed<double>(ctx, plan, std::move(x)));
    FEWBIT_ASSIGN(y, to_storage(ctx, x, type));
  } else {
    return type_error(ctx.node(), type);
  }
  ctx.set_out(0, std::move(y));
  return {};
}

Status resize(OpContext& ctx) {
  FEWBIT_ASSIGN(const ResizePlan plan, read_resize(ctx));
  return run_plan(ctx, plan);
}

Status upsample(OpContext& ctx) {
  FEWBIT_ASSIGN(const ResizePlan plan, read_upsample(ctx));
  return run_plan(ctx, plan);
}

constexpr OpRow kRows[] = {
    {"", "Resize", 10, resize},
    {"", "Upsample", 7, upsample},
};

}  // namespace

std::span<const OpRow> resize_table() {
  return kRows;
}

}  // namespace fewbit::ops
