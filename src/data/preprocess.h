#pragma once
// From pixels, or any array, to the values that a model's input takes.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/tensor.h"
#include "data/image.h"

namespace fewbit {

enum class PixelLayout { kNchw, kNhwc, kNhw };

/// What happens to the shape when a picture is resized to both a height and a width.
enum class Fit {
  kStretch,  ///< Each side on its own.
  kCover,  ///< The shape is kept, the size covers the target; what stands out is cut at both ends.
  kContain,  ///< The shape is kept, the size fits into the target; the rest is filled with `pad`.
};

struct Size {
  int64_t height = 0;
  int64_t width = 0;
};

/// The steps in their order: channels, resize, crop, (x / scale - mean) / std, layout.
struct Preprocess {
  std::optional<int64_t> resize_short;  ///< Short side; the long one follows, rounded down.
  std::optional<Size> resize;
  Fit fit = Fit::kStretch;
  uint8_t pad = 0;           ///< Pixel value around a contained picture.
  std::optional<Size> crop;  ///< Centre; odd differences leave the larger part right and below.
  std::optional<Channels> channels;          ///< Default: the image's own; rgb for image folders.
  std::optional<PixelLayout> source_layout;  ///< Of an array; none: its samples are no pictures.
  PixelLayout layout = PixelLayout::kNchw;   ///< Of the result.
  float scale = 1;
  std::vector<float> mean;  ///< Empty: 0; one for all channels, or one per channel.
  std::vector<float> std;   ///< Empty: 1; the same.

  bool changes_values() const { return scale != 1 || !mean.empty() || !std.empty(); }
  bool changes_size() const { return resize_short || resize || crop; }
};

/// A picture as float32 [C, H, W] or [H, W, C]. `name` is for messages. Errors (kBadInput): smaller
/// than the crop; the number of means or deviations is not that of the channels.
Result<Tensor> preprocess_image(Image image, const Preprocess& steps, std::string_view name);

/// One sample of an array with `source_layout`: dims [C, H, W], [H, W, C] or [H, W], of any numeric
/// type; resizing and changing the channels need uint8.
Result<Tensor> preprocess_picture(const Tensor& sample, const Preprocess& steps,
                                  std::string_view name);

/// A sample of any shape: only scale, and one mean and one deviation for all elements.
Result<Tensor> preprocess_values(const Tensor& sample, const Preprocess& steps,
                                 std::string_view name);

}  // namespace fewbit
