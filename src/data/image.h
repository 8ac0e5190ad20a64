#pragma once
// Pictures: decoding JPEG and PNG, colour conversion, resizing. All in 8 bits per channel, and bit
// for bit what Pillow gives (its JPEG and PNG modes L, RGB, P, RGBA, LA and CMYK; `resize` with
// BILINEAR), because that is what most networks were trained and are compared on.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fewbit {

/// Rows from the top, pixels from the left, channels together: pixels[(y * width + x) * channels +
/// c].
struct Image {
  int64_t width = 0;
  int64_t height = 0;
  int64_t channels = 0;  ///< 1 gray, 3 red green blue; arrays may have any number.
  std::vector<uint8_t> pixels;
};

/// Larger pictures are refused before any memory is taken: 2^27 pixels are 384 MiB of RGB.
inline constexpr int64_t kMaxImagePixels = int64_t{1} << 27;

/// Decodes JPEG or PNG, by the first bytes and not by the name; gives 1 or 3 channels. Transparency
/// is dropped. `name` is for messages. Errors (kBadInput): neither format, damaged or cut off, more
/// than `max_pixels`.
Result<Image> decode_image(std::span<const std::byte> file, std::string_view name,
                           int64_t max_pixels = kMaxImagePixels);

// One decoder per format; decode_image chooses. jpeg.cpp and png.cpp.
Result<Image> decode_jpeg(std::span<const std::byte> file, std::string_view name,
                          int64_t max_pixels);
Result<Image> decode_png(std::span<const std::byte> file, std::string_view name,
                         int64_t max_pixels);

enum class Channels { kRgb, kBgr, kGray };

/// Gray to colour repeats the value; colour to gray is ITU-R BT.601 luma (299 R + 587 G + 114
/// B)/1000 in 16-bit fixed point. The image has 1 or 3 channels.
Image with_channels(Image image, Channels channels);

/// Resizes to width x height by a triangle filter, as wide as the reduction when reducing (so
/// called antialias): horizontally, then vertically, in 22-bit fixed point, 8 bits in between. Both
/// sizes are positive.
Image resize_bilinear(const Image& image, int64_t width, int64_t height);

}  // namespace fewbit
