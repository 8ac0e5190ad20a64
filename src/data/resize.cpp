// Reducing and enlarging pictures by a triangle filter.

#include <algorithm>
#include <cmath>

#include "data/image.h"

namespace fewbit {
namespace {

// Weights are integers of this many bits after the point: a sum of 8-bit pixels times weights whose
// sum is 1 stays below 2^31.
constexpr int kWeightBits = 22;

/// For each output position along one axis: which input positions, and their weights.
struct Axis {
  struct Tap {
    int64_t first;
    int64_t count;
    const int32_t* weights;
  };
  int64_t taps_per_output = 0;
  std::vector<int64_t> first;
  std::vector<int64_t> count;
  std::vector<int32_t> weights;  ///< [output][taps_per_output]

  Tap tap(int64_t output) const {
    const auto i = static_cast<size_t>(output);
    return {first[i], count[i], &weights[i * static_cast<size_t>(taps_per_output)]};
  }
};

Axis triangle_weights(int64_t in_size, int64_t out_size) {
  const double scale = static_cast<double>(in_size) / static_cast<double>(out_size);
  // The filter's half width in input pixels: 1 when enlarging, the reduction when reducing.
  const double support = std::max(scale, 1.0);
  Axis axis;
  axis.taps_per_output = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  axis.weights.resize(static_cast<size_t>(out_size * axis.taps_per_output));
  std::vector<double> exact(static_cast<size_t>(axis.taps_per_output));
  for (int64_t x = 0; x < out_size; ++x) {
    const double center = (static_cast<double>(x) + 0.5) * scale;
    const auto begin = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const auto end = std::min<int64_t>(static_cast<int64_t>(center + support + 0.5), in_size);
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) {
      const double distance = (static_cast<double>(i) - center + 0.5) * (1.0 / support);
      const double weight = std::max(0.0, 1.0 - std::abs(distance));
      exact[static_cast<size_t>(i - begin)] = weight;
      sum += weight;
    }
    const double scale_up = sum == 0 ? 0 : 1.0 / sum;
    int32_t* weights = &axis.weights[static_cast<size_t>(x * axis.taps_per_output)];
    for (int64_t i = 0; i < end - begin; ++i) {
      const double weight = exact[static_cast<size_t>(i)] * scale_up;
      weights[i] = static_cast<int32_t>(0.5 + weight * (1 << kWeightBits));
    }
    axis.first.push_back(begin);
    axis.count.push_back(end - begin);
  }
  return axis;
}

uint8_t rounded(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

Image resize_width(const Image& in, int64_t width) {
  const Axis axis = triangle_weights(in.width, width);
  Image out{width, in.height, in.channels, {}};
  out.pixels.resize(static_cast<size_t>(width * in.height * in.channels));
  uint8_t* to = out.pixels.data();
  for (int64_t y = 0; y < in.height; ++y) {
    const uint8_t* row = in.pixels.data() + y * in.width * in.channels;
    for (int64_t x = 0; x < width; ++x) {
      const Axis::Tap tap = axis.tap(x);
      for (int64_t c = 0; c < in.channels; ++c) {
        int32_t sum = 1 << (kWeightBits - 1);
        const uint8_t* from = row + tap.first * in.channels + c;
        for (int64_t i = 0; i < tap.count; ++i) sum += from[i * in.channels] * tap.weights[i];
        *to++ = rounded(sum);
      }
    }
  }
  return out;
}

Image resize_height(const Image& in, int64_t height) {
  const Axis axis = triangle_weights(in.height, height);
  const int64_t row_bytes = in.width * in.channels;
  Image out{in.width, height, in.channels, {}};
  out.pixels.resize(static_cast<size_t>(row_bytes * height));
  std::vector<int32_t> sums(static_cast<size_t>(row_bytes));
  for (int64_t y = 0; y < height; ++y) {
    const Axis::Tap tap = axis.tap(y);
    std::fill(sums.begin(), sums.end(), 1 << (kWeightBits - 1));
    for (int64_t i = 0; i < tap.count; ++i) {  // whole rows at a time: vectors, and in order
      const uint8_t* from = in.pixels.data() + (tap.first + i) * row_bytes;
      const int32_t weight = tap.weights[i];
      for (size_t k = 0; k < sums.size(); ++k) sums[k] += from[k] * weight;
    }
    uint8_t* to = out.pixels.data() + y * row_bytes;
    for (size_t k = 0; k < sums.size(); ++k) to[k] = rounded(sums[k]);
  }
  return out;
}

}  // namespace

Image resize_bilinear(const Image& image, int64_t width, int64_t height) {
  FEWBIT_CHECK(width > 0 && height > 0 && image.width > 0 && image.height > 0, width, height);
  if (image.width == width) return image.height == height ? image : resize_height(image, height);
  Image wide = resize_width(image, width);
  return image.height == height ? wide : resize_height(wide, height);
}

}  // namespace fewbit
