#include "data/image.h"

#include <algorithm>
#include <cstring>

namespace fewbit {
namespace {

bool starts_with(std::span<const std::byte> file, std::string_view magic) {
  return file.size() >= magic.size() && std::memcmp(file.data(), magic.data(), magic.size()) == 0;
}

uint8_t luma(const uint8_t* rgb) {
  // round(65536 * {0.299, 0.587, 0.114}); their sum is 65536.
  return static_cast<uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
}

}  // namespace

Result<Image> decode_image(std::span<const std::byte> file, std::string_view name,
                           int64_t max_pixels) {
  if (starts_with(file, "\xff\xd8\xff")) return decode_jpeg(file, name, max_pixels);
  if (starts_with(file, "\x89PNG\r\n\x1a\n")) return decode_png(file, name, max_pixels);
  if (file.empty()) return bad_input("{}: the file is empty, expected a JPEG or PNG image", name);
  return bad_input("{}: not a JPEG or PNG image", name);
}

Image with_channels(Image image, Channels channels) {
  const auto count = static_cast<size_t>(image.width * image.height);
  if (channels == Channels::kGray) {
    if (image.channels == 1) return image;
    for (size_t i = 0; i < count; ++i) image.pixels[i] = luma(&image.pixels[3 * i]);
    image.pixels.resize(count);
    image.channels = 1;
    return image;
  }
  if (image.channels == 1) {
    std::vector<uint8_t> colour(3 * count);
    for (size_t i = 0; i < count; ++i) std::fill_n(&colour[3 * i], 3, image.pixels[i]);
    image.pixels = std::move(colour);
    image.channels = 3;
  } else if (channels == Channels::kBgr) {
    for (size_t i = 0; i < count; ++i) std::swap(image.pixels[3 * i], image.pixels[3 * i + 2]);
  }
  return image;
}

}  // namespace fewbit
