// PNG by libpng.

#include <png.h>

#include <csetjmp>
#include <cstring>

#include "data/image.h"

namespace fewbit {
namespace {

/// What the callbacks of libpng need, and all state that must outlive a jump out of it.
struct Decoder {
  std::span<const std::byte> left;
  jmp_buf back;
  char message[128] = {};
  std::vector<png_bytep> rows;
  int64_t max_pixels = 0;
  bool too_large = false;
};

[[noreturn]] void fail(png_structp png, png_const_charp message) {
  auto* decoder = static_cast<Decoder*>(png_get_error_ptr(png));
  std::strncpy(decoder->message, message, sizeof(decoder->message) - 1);
  std::longjmp(decoder->back, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep out, size_t count) {
  auto* decoder = static_cast<Decoder*>(png_get_io_ptr(png));
  if (count > decoder->left.size()) png_error(png, "the file is cut off");
  std::memcpy(out, decoder->left.data(), count);
  decoder->left = decoder->left.subspan(count);
}

/// Everything to 8-bit gray or RGB: palettes and small grays widened, alpha dropped, of 16 bits the
/// upper eight.
void choose_output(png_structp png, png_infop info) {
  png_set_expand(png);
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
}

/// Between setjmp and longjmp no object with a destructor may live: all state is the caller's.
bool decode(png_structp png, png_infop info, Decoder& decoder, Image& image) {
  if (setjmp(decoder.back) != 0) return false;
  png_set_read_fn(png, &decoder, read_bytes);
  png_read_info(png, info);
  image.width = png_get_image_width(png, info);
  image.height = png_get_image_height(png, info);
  decoder.too_large = image.width > decoder.max_pixels / image.height;
  if (decoder.too_large) return false;
  choose_output(png, info);
  image.channels = png_get_channels(png, info);
  const size_t row_bytes = png_get_rowbytes(png, info);
  image.pixels.resize(row_bytes * static_cast<size_t>(image.height));
  decoder.rows.resize(static_cast<size_t>(image.height));
  for (size_t y = 0; y < decoder.rows.size(); ++y) {
    decoder.rows[y] = image.pixels.data() + y * row_bytes;
  }
  png_read_image(png, decoder.rows.data());
  png_read_end(png, nullptr);
  return true;
}

}  // namespace

Result<Image> decode_png(std::span<const std::byte> file, std::string_view name,
                         int64_t max_pixels) {
  Decoder decoder;
  decoder.left = file;
  decoder.max_pixels = max_pixels;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, fail, ignore_warning);
  FEWBIT_CHECK(png != nullptr, "libpng's header and library differ, or no memory");
  png_infop info = png_create_info_struct(png);
  FEWBIT_CHECK(info != nullptr, "no memory");
  // The number of pixels is bounded above; libpng's own limit of a million per side stays.
  Image image;
  const bool decoded = decode(png, info, decoder, image);
  png_destroy_read_struct(&png, &info, nullptr);
  if (decoder.too_large) {
    return bad_input("{}: the PNG image is {} x {}, more than the {} pixels allowed", name,
                     image.width, image.height, max_pixels);
  }
  if (!decoded) return bad_input("{}: damaged PNG image: {}", name, decoder.message);
  return image;
}

}  // namespace fewbit
