#include "runtime/ops/resize_axis.h"

#include <algorithm>
#include <cmath>

#include "runtime/ops/op_support.h"

namespace fewbit::ops {
namespace {

bool known_coordinates(const std::string& mode) {
  static const char* const kModes[] = {
      "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
      "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};
  return std::find(std::begin(kModes), std::end(kModes), mode) != std::end(kModes);
}

// The position in the input of output element x (ONNX, Resize, coordinate_transformation_mode). The
// output's extent enters as in * scale, before rounding.
double source_position(const ResizeOptions& o, const ResizeAxis& a, double x) {
  const double extent = a.scale * static_cast<double>(a.in);
  const double last = static_cast<double>(a.in) - 1;
  const std::string& mode = o.coordinates;
  if (mode == "asymmetric") return x / a.scale;
  if (mode == "align_corners") return extent == 1 ? 0 : x * last / (extent - 1);
  if (mode == "tf_half_pixel_for_nn") return (x + 0.5) / a.scale;
  if (mode == "tf_crop_and_resize") {
    const double width = a.roi_end - a.roi_start;
    const double offset = extent == 1 ? width * last / 2 : x * width * last / (extent - 1);
    return a.roi_start * last + offset;
  }
  if (mode == "pytorch_half_pixel" && a.out == 1) return 0;
  double position = (x + 0.5) / a.scale - 0.5;
  if (mode == "half_pixel_symmetric") {
    position += static_cast<double>(a.in) / 2 * (1 - static_cast<double>(a.out) / extent);
  }
  return position;
}

Result<double> nearest_position(const Node& node, const std::string& mode, double x) {
  if (mode == "round_prefer_floor") return std::ceil(x - 0.5);
  if (mode == "round_prefer_ceil") return std::floor(x + 0.5);
  if (mode == "floor") return std::floor(x);
  if (mode == "ceil") return std::ceil(x);
  return node_error(node, "nearest_mode '{}' is not known", mode);
}

// Keys, Cubic convolution interpolation for digital image processing, 1981, equation 4.
double cubic_kernel(double x, double a) {
  x = std::fabs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

double linear_kernel(double x) {
  return std::max(0.0, 1 - std::fabs(x));
}

// Half the taps: 1 or 2, more where antialiasing stretches the kernel over a shrinking step.
int64_t half_taps(const ResizeOptions& o, double stretch) {
  const double reach = o.mode == ResizeMode::kLinear ? 1 : 2;
  return -static_cast<int64_t>(std::floor(-reach / stretch));
}

// Weights of the taps around one position. They end half_taps above the element at or left of it.
void fill_taps(const ResizeOptions& o, const ResizeAxis& a, double position, double stretch,
               int64_t* index, double* weight, int64_t taps) {
  const double left = std::ceil(position) - 1;  // strictly left: then 0 < position - left <= 1
  double sum = 0;
  for (int64_t t = 0; t < taps; ++t) {
    const double at = left + static_cast<double>(t - taps / 2 + 1);
    const double distance = (at - position) * stretch;
    double w =
        o.mode == ResizeMode::kLinear ? linear_kernel(distance) : cubic_kernel(distance, o.cubic_a);
    const double clamped = std::clamp(at, 0.0, static_cast<double>(a.in - 1));
    if (o.exclude_outside && clamped != at) w = 0;
    index[t] = static_cast<int64_t>(clamped);
    weight[t] = w;
    sum += w;
  }
  if (sum == 0) return;
  for (int64_t t = 0; t < taps; ++t) weight[t] /= sum;
}

}  // namespace

Result<ResizeWeights> resize_weights(const Node& node, const ResizeOptions& o,
                                     const ResizeAxis& a) {
  if (!known_coordinates(o.coordinates)) {
    return node_error(node, "coordinate_transformation_mode '{}' is not known", o.coordinates);
  }
  ResizeWeights w;
  if (a.out == 0) return w;
  const double stretch = o.antialias ? std::min(a.scale, 1.0) : 1.0;
  const bool nearest = o.mode == ResizeMode::kNearest;
  if (!(2 / stretch * static_cast<double>(a.out) < 1e8)) {
    return node_error(node, "{} elements from {} need too many weights", a.out, a.in);
  }
  w.taps = nearest ? 1 : 2 * half_taps(o, stretch);
  const auto size = static_cast<size_t>(a.out * w.taps);
  w.index.resize(size);
  w.weight.resize(size);
  const double last = static_cast<double>(a.in - 1);
  for (int64_t x = 0; x < a.out; ++x) {
    const double position = source_position(o, a, static_cast<double>(x));
    if (!std::isfinite(position)) return node_error(node, "a position in the input is not finite");
    if (o.coordinates == "tf_crop_and_resize" && (position < 0 || position > last)) {
      w.outside.resize(static_cast<size_t>(a.out));
      w.outside[static_cast<size_t>(x)] = true;
    }
    int64_t* index = w.index.data() + x * w.taps;
    double* weight = w.weight.data() + x * w.taps;
    if (nearest) {
      FEWBIT_ASSIGN(const double at, nearest_position(node, o.nearest, position));
      *index = static_cast<int64_t>(std::clamp(at, 0.0, last));
      *weight = 1;
    } else {
      fill_taps(o, a, position, stretch, index, weight, w.taps);
    }
  }
  return w;
}

}  // namespace fewbit::ops
