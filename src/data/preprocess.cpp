#include "data/preprocess.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "numerics/convert.h"

namespace fewbit {
namespace {

/// A picture in memory of either element type, by strides in elements.
template <typename T>
struct Picture {
  const T* data = nullptr;
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
  int64_t row_stride = 0;
  int64_t column_stride = 0;
  int64_t channel_stride = 0;
};

Picture<uint8_t> picture_of(const Image& image) {
  return {image.pixels.data(),
          image.height,
          image.width,
          image.channels,
          image.width * image.channels,
          image.channels,
          1};
}

template <typename T>
Picture<T> picture_of(const Tensor& sample, PixelLayout layout) {
  const T* data = sample.data<T>();
  if (layout == PixelLayout::kNchw) {
    const int64_t plane = sample.dim(1) * sample.dim(2);
    return {data, sample.dim(1), sample.dim(2), sample.dim(0), sample.dim(2), 1, plane};
  }
  const int64_t channels = layout == PixelLayout::kNhwc ? sample.dim(2) : 1;
  return {data, sample.dim(0), sample.dim(1), channels, sample.dim(1) * channels, channels, 1};
}

/// The value for one channel: the one given for all, or its own.
float per_channel(const std::vector<float>& values, int64_t channel, float otherwise) {
  if (values.empty()) return otherwise;
  return values[values.size() == 1 ? 0 : static_cast<size_t>(channel)];
}

Status check_channels(const Preprocess& steps, int64_t channels, std::string_view name) {
  for (const auto* values : {&steps.mean, &steps.std}) {
    if (values->size() > 1 && values->size() != static_cast<size_t>(channels)) {
      return bad_input("{}: has {} channels, but {} has {} values", name, channels,
                       values == &steps.mean ? "mean" : "std", values->size());
    }
  }
  return {};
}

/// (x / scale - mean) / std, each step rounded to float32 as NumPy and PyTorch do it.
struct Affine {
  float scale;
  float mean;
  float std;
  float operator()(float x) const { return (x / scale - mean) / std; }
};

template <typename T>
void write_channel(const Picture<T>& in, int64_t channel, const Affine& affine, float* out,
                   int64_t out_stride) {
  std::array<float, 256> table;  // bytes have so few values that each is computed once
  if constexpr (std::is_same_v<T, uint8_t>) {
    for (size_t v = 0; v < table.size(); ++v) table[v] = affine(static_cast<float>(v));
  }
  for (int64_t y = 0; y < in.height; ++y) {
    const T* from = in.data + y * in.row_stride + channel * in.channel_stride;
    for (int64_t x = 0; x < in.width; ++x, out += out_stride) {
      const T value = from[x * in.column_stride];
      if constexpr (std::is_same_v<T, uint8_t>) {
        *out = table[value];
      } else {
        *out = affine(value);
      }
    }
  }
}

template <typename T>
Result<Tensor> finish(Picture<T> in, const Preprocess& steps, std::string_view name) {
  if (steps.crop) {
    if (in.height < steps.crop->height || in.width < steps.crop->width) {
      return bad_input(
          "{}: is {} x {} (height x width), too small to crop {} x {}; resize it first", name,
          in.height, in.width, steps.crop->height, steps.crop->width);
    }
    in.data += (in.height - steps.crop->height) / 2 * in.row_stride +
               (in.width - steps.crop->width) / 2 * in.column_stride;
    in.height = steps.crop->height;
    in.width = steps.crop->width;
  }
  FEWBIT_TRY(check_channels(steps, in.channels, name));
  const bool planar = steps.layout == PixelLayout::kNchw;
  Tensor out =
      Tensor::uninitialized(DType::kFloat32, planar ? Dims{in.channels, in.height, in.width}
                                                    : Dims{in.height, in.width, in.channels});
  for (int64_t c = 0; c < in.channels; ++c) {
    const Affine affine{steps.scale, per_channel(steps.mean, c, 0), per_channel(steps.std, c, 1)};
    float* to = out.data<float>() + (planar ? c * in.height * in.width : c);
    write_channel(in, c, affine, to, planar ? 1 : in.channels);
  }
  return out;
}

Image cut_to(const Image& image, Size size) {
  Image out{size.width, size.height, image.channels, {}};
  const int64_t top = (image.height - size.height) / 2;
  const int64_t left = (image.width - size.width) / 2;
  out.pixels.reserve(static_cast<size_t>(size.width * size.height * image.channels));
  for (int64_t y = top; y < top + size.height; ++y) {
    const auto row = image.pixels.begin() + (y * image.width + left) * image.channels;
    out.pixels.insert(out.pixels.end(), row, row + size.width * image.channels);
  }
  return out;
}

Image padded_to(const Image& image, Size size, uint8_t pad) {
  Image out{size.width, size.height, image.channels, {}};
  out.pixels.assign(static_cast<size_t>(size.width * size.height * image.channels), pad);
  const int64_t top = (size.height - image.height) / 2;
  const int64_t left = (size.width - image.width) / 2;
  const int64_t row_bytes = image.width * image.channels;
  for (int64_t y = 0; y < image.height; ++y) {
    std::memcpy(&out.pixels[static_cast<size_t>(((top + y) * size.width + left) * image.channels)],
                &image.pixels[static_cast<size_t>(y * row_bytes)], static_cast<size_t>(row_bytes));
  }
  return out;
}

/// A side scaled by the ratio target / source of another, at least 1.
int64_t scaled(int64_t side, double ratio) {
  return std::max<int64_t>(1, std::llround(static_cast<double>(side) * ratio));
}

Image resized(Image image, const Preprocess& steps) {
  if (steps.resize_short) {
    const int64_t target = *steps.resize_short;
    const int64_t short_side = std::min(image.width, image.height);
    const auto side = [&](int64_t s) { return s == short_side ? target : target * s / short_side; };
    return resize_bilinear(image, side(image.width), side(image.height));
  }
  if (!steps.resize) return image;
  const Size size = *steps.resize;
  if (steps.fit == Fit::kStretch) return resize_bilinear(image, size.width, size.height);
  const double across = static_cast<double>(size.width) / static_cast<double>(image.width);
  const double down = static_cast<double>(size.height) / static_cast<double>(image.height);
  if (steps.fit == Fit::kCover) {
    const double ratio = std::max(across, down);
    return cut_to(resize_bilinear(image, across >= down ? size.width : scaled(image.width, ratio),
                                  across >= down ? scaled(image.height, ratio) : size.height),
                  size);
  }
  const double ratio = std::min(across, down);
  return padded_to(resize_bilinear(image, across <= down ? size.width : scaled(image.width, ratio),
                                   across <= down ? scaled(image.height, ratio) : size.height),
                   size, steps.pad);
}

/// A uint8 sample as an image, whatever its layout.
Image image_of(const Picture<uint8_t>& in) {
  Image image{in.width, in.height, in.channels, {}};
  image.pixels.reserve(static_cast<size_t>(in.width * in.height * in.channels));
  for (int64_t y = 0; y < in.height; ++y) {
    for (int64_t x = 0; x < in.width; ++x) {
      for (int64_t c = 0; c < in.channels; ++c) {
        image.pixels.push_back(
            in.data[y * in.row_stride + x * in.column_stride + c * in.channel_stride]);
      }
    }
  }
  return image;
}

/// Refuses what a resize would blow up beyond what a picture may be.
Status check_size(const Image& image, const Preprocess& steps, std::string_view name) {
  if (!steps.resize_short) return {};
  const int64_t target = *steps.resize_short;
  const int64_t short_side = std::min(image.width, image.height);
  const int64_t long_side = std::max(image.width, image.height);
  if (target * (target * long_side / short_side) <= kMaxImagePixels) return {};
  return bad_input("{}: {} x {} with its short side resized to {} is more than {} pixels", name,
                   image.height, image.width, target, kMaxImagePixels);
}

}  // namespace

Result<Tensor> preprocess_image(Image image, const Preprocess& steps, std::string_view name) {
  if (steps.channels) {
    if (image.channels != 1 && image.channels != 3) {
      return bad_input("{}: has {} channels, expected 1 or 3 to choose channels", name,
                       image.channels);
    }
    image = with_channels(std::move(image), *steps.channels);
  }
  FEWBIT_TRY(check_size(image, steps, name));
  image = resized(std::move(image), steps);
  return finish(picture_of(image), steps, name);
}

Result<Tensor> preprocess_picture(const Tensor& sample, const Preprocess& steps,
                                  std::string_view name) {
  const PixelLayout layout = steps.source_layout.value_or(PixelLayout::kNchw);
  FEWBIT_CHECK(sample.rank() == (layout == PixelLayout::kNhw ? 2 : 3), to_string(sample.dims()));
  if (sample.elements() == 0) return bad_input("{}: has no elements", name);
  if (sample.type() == DType::kUint8) {
    const auto picture = picture_of<uint8_t>(sample, layout);
    if (!steps.resize_short && !steps.resize && !steps.channels) {
      return finish(picture, steps, name);
    }
    return preprocess_image(image_of(picture), steps, name);
  }
  FEWBIT_ASSIGN(const Tensor values, cast(sample, DType::kFloat32));
  return finish(picture_of<float>(values, layout), steps, name);
}

Result<Tensor> preprocess_values(const Tensor& sample, const Preprocess& steps,
                                 std::string_view name) {
  FEWBIT_TRY(check_channels(steps, 1, name));
  FEWBIT_ASSIGN(Tensor values, cast(sample, DType::kFloat32));
  if (!steps.changes_values()) return values;
  const Affine affine{steps.scale, per_channel(steps.mean, 0, 0), per_channel(steps.std, 0, 1)};
  Tensor out = Tensor::uninitialized(DType::kFloat32, values.dims());
  std::transform(values.span<float>().begin(), values.span<float>().end(),
                 out.span<float>().begin(), affine);
  return out;
}

}  // namespace fewbit
