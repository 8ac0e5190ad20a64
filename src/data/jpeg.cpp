// JPEG by libjpeg-turbo, in its default settings: accurate integer DCT, smooth chroma upsampling.

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdio>

// jpeglib.h uses size_t and FILE, and includes neither.
#include <jpeglib.h>
//
#include <jerror.h>

#include "data/image.h"

namespace fewbit {
namespace {

/// libjpeg reports an error by a call that must not return, so it jumps back to decode().
struct Handler {
  jpeg_error_mgr manager;
  jmp_buf back;
  char message[JMSG_LENGTH_MAX] = {};
};

[[noreturn]] void fail(j_common_ptr info) {
  auto* handler = reinterpret_cast<Handler*>(info->err);
  (*info->err->format_message)(info, handler->message);
  std::longjmp(handler->back, 1);
}

/// Warnings: a file that ends early is an error (libjpeg would fill the rest with gray); other
/// damage that it repairs is accepted, as everywhere else.
void warn(j_common_ptr info, int level) {
  if (level < 0 && info->err->msg_code == JWRN_JPEG_EOF) fail(info);
}

enum class Outcome { kDecoded, kFailed, kTooLarge };

/// Between setjmp and longjmp no object with a destructor may live: all state is the caller's.
Outcome decode(std::span<const std::byte> file, int64_t max_pixels, jpeg_decompress_struct& info,
               Handler& handler, Image& image) {
  if (setjmp(handler.back) != 0) return Outcome::kFailed;
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(&info, TRUE);
  const int64_t pixels = static_cast<int64_t>(info.image_width) * info.image_height;
  if (pixels > max_pixels) return Outcome::kTooLarge;
  if (info.jpeg_color_space == JCS_GRAYSCALE) {
    info.out_color_space = JCS_GRAYSCALE;
  } else if (info.num_components == 4) {
    info.out_color_space = JCS_CMYK;
  } else {
    info.out_color_space = JCS_RGB;
  }
  jpeg_start_decompress(&info);
  image.width = info.output_width;
  image.height = info.output_height;
  image.channels = info.output_components;
  const auto row_bytes = static_cast<size_t>(image.width * image.channels);
  image.pixels.resize(row_bytes * static_cast<size_t>(image.height));
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = image.pixels.data() + row_bytes * info.output_scanline;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  return Outcome::kDecoded;
}

uint8_t product_255(int a, int b) {  // round(a * b / 255)
  const int t = a * b + 128;
  return static_cast<uint8_t>((t + (t >> 8)) >> 8);
}

/// Four-channel JPEGs come from Adobe's programs, which store the inks inverted.
void inverted_cmyk_to_rgb(Image& image) {
  const auto count = static_cast<size_t>(image.width * image.height);
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* inks = &image.pixels[4 * i];
    const int white = inks[3];  // 255 - black
    uint8_t rgb[3];
    for (int c = 0; c < 3; ++c) {
      rgb[c] = static_cast<uint8_t>(white - product_255(255 - inks[c], white));
    }
    std::copy_n(rgb, 3, &image.pixels[3 * i]);
  }
  image.pixels.resize(3 * count);
  image.channels = 3;
}

}  // namespace

Result<Image> decode_jpeg(std::span<const std::byte> file, std::string_view name,
                          int64_t max_pixels) {
  jpeg_decompress_struct info{};
  Handler handler;
  info.err = jpeg_std_error(&handler.manager);
  handler.manager.error_exit = fail;
  handler.manager.emit_message = warn;
  Image image;
  const Outcome outcome = decode(file, max_pixels, info, handler, image);
  const int64_t width = info.image_width;
  const int64_t height = info.image_height;
  jpeg_destroy_decompress(&info);
  if (outcome == Outcome::kTooLarge) {
    return bad_input("{}: the JPEG image is {} x {}, more than the {} pixels allowed", name, width,
                     height, max_pixels);
  }
  if (outcome == Outcome::kFailed) {
    return bad_input("{}: damaged JPEG image: {}", name, handler.message);
  }
  if (image.channels == 4) inverted_cmyk_to_rgb(image);
  return image;
}

}  // namespace fewbit
