#include "data/image.h"

#include <gtest/gtest.h>

#include <cstdio>
// jpeglib.h uses size_t and FILE, and includes neither.
#include <jpeglib.h>

#include <cmath>
#include <map>

#include "base/sha256.h"
#include "data/test_support.h"

namespace fewbit {
namespace {

std::string jpeg_file(const Image& image, J_COLOR_SPACE space, int quality) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* data = nullptr;
  unsigned long size = 0;  // NOLINT(google-runtime-int): libjpeg's type
  jpeg_mem_dest(&info, &data, &size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = static_cast<int>(image.channels);
  info.in_color_space = space;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<uint8_t*>(&image.pixels[static_cast<size_t>(
        static_cast<int64_t>(info.next_scanline) * image.width * image.channels)]);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  std::string file(reinterpret_cast<char*>(data), size);
  jpeg_destroy_compress(&info);
  std::free(data);
  return file;
}

Result<Image> decode(const std::string& file) {
  return decode_image(bytes_of_text(file), "a.jpg");
}

double mean_difference(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

/// Smooth, so that JPEG keeps it.
Image gradient(int64_t channels) {
  Image image{40, 30, channels, {}};
  for (int64_t y = 0; y < 30; ++y) {
    for (int64_t x = 0; x < 40; ++x) {
      for (int64_t c = 0; c < channels; ++c) {
        image.pixels.push_back(static_cast<uint8_t>(20 + 3 * x + 2 * y + 10 * c));
      }
    }
  }
  return image;
}

TEST(Png, RoundTrip) {
  for (const int64_t channels : {1, 3}) {
    const Image image = pattern(37, 23, channels);
    const auto decoded = decode(png_file(image));
    ASSERT_TRUE(decoded.ok()) << decoded.error().message();
    EXPECT_EQ(decoded->width, 37);
    EXPECT_EQ(decoded->height, 23);
    EXPECT_EQ(decoded->channels, channels);
    EXPECT_EQ(decoded->pixels, image.pixels);
  }
}

TEST(Png, AlphaIsDropped) {
  const Image image = pattern(5, 4, 4);
  const auto decoded = decode(png_file(image));
  ASSERT_TRUE(decoded.ok());
  ASSERT_EQ(decoded->channels, 3);
  for (size_t i = 0; i < 20; ++i) {
    for (size_t c = 0; c < 3; ++c) {
      EXPECT_EQ(decoded->pixels[3 * i + c], image.pixels[4 * i + c]);
    }
  }
}

TEST(Jpeg, GrayAndColour) {
  for (const int64_t channels : {1, 3}) {
    const Image image = gradient(channels);
    const auto decoded = decode(jpeg_file(image, channels == 1 ? JCS_GRAYSCALE : JCS_RGB, 95));
    ASSERT_TRUE(decoded.ok()) << decoded.error().message();
    EXPECT_EQ(decoded->channels, channels);
    EXPECT_EQ(decoded->width, 40);
    // Quality 95 quantizes the steepest coefficients by a few steps.
    EXPECT_LT(mean_difference(*decoded, image), 2);
  }
}

TEST(Jpeg, InvertedInksBecomeColours) {
  // Inverted inks 255: no ink at all, white. Black ink inverted 0: black, whatever the others.
  Image inks{16, 16, 4, std::vector<uint8_t>(16 * 16 * 4, 255)};
  auto decoded = decode(jpeg_file(inks, JCS_CMYK, 100));
  ASSERT_TRUE(decoded.ok());
  ASSERT_EQ(decoded->channels, 3);
  EXPECT_EQ(decoded->pixels[0], 255);
  for (size_t i = 3; i < inks.pixels.size(); i += 4) inks.pixels[i] = 0;
  decoded = decode(jpeg_file(inks, JCS_CMYK, 100));
  EXPECT_EQ(decoded->pixels[100], 0);
}

TEST(DecodeImage, EveryTruncationIsOneError) {
  for (const std::string& file :
       {jpeg_file(pattern(24, 18, 3), JCS_RGB, 90), png_file(pattern(24, 18, 3))}) {
    for (size_t length = 0; length < file.size() - 20; length += 7) {
      const auto decoded = decode(file.substr(0, length));
      ASSERT_FALSE(decoded.ok()) << length << " of " << file.size();
      ASSERT_EQ(decoded.error().message().find("a.jpg: "), 0U) << decoded.error().message();
    }
  }
}

TEST(DecodeImage, ClearErrors) {
  EXPECT_ERROR(decode(""), "a.jpg: the file is empty, expected a JPEG or PNG image");
  EXPECT_ERROR(decode("GIF89a"), "a.jpg: not a JPEG or PNG image");
  EXPECT_ERROR(decode(jpeg_file(pattern(24, 18, 3), JCS_RGB, 90).substr(0, 400)), "damaged JPEG");
  std::string png = png_file(pattern(9, 9, 3));
  png[png.size() / 2] = static_cast<char>(png[png.size() / 2] ^ 1);
  EXPECT_ERROR(decode(png), "a.jpg: damaged PNG image: ");
}

TEST(DecodeImage, SizeIsBoundedBeforeMemoryIsTaken) {
  for (const std::string& file :
       {jpeg_file(pattern(24, 18, 3), JCS_RGB, 90), png_file(pattern(24, 18, 3))}) {
    EXPECT_TRUE(decode_image(bytes_of_text(file), "a", 24 * 18).ok());
    EXPECT_ERROR(decode_image(bytes_of_text(file), "a", 24 * 18 - 1),
                 "image is 24 x 18, more than the 431 pixels allowed");
  }
}

TEST(WithChannels, Conversions) {
  const Image rgb{2, 1, 3, {10, 20, 30, 200, 100, 50}};
  EXPECT_EQ(with_channels(rgb, Channels::kRgb).pixels, rgb.pixels);
  EXPECT_EQ(with_channels(rgb, Channels::kBgr).pixels,
            (std::vector<uint8_t>{30, 20, 10, 50, 100, 200}));
  // 0.299 * 10 + 0.587 * 20 + 0.114 * 30 = 18.15; 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
  EXPECT_EQ(with_channels(rgb, Channels::kGray).pixels, (std::vector<uint8_t>{18, 124}));
  const Image gray{2, 1, 1, {7, 9}};
  EXPECT_EQ(with_channels(gray, Channels::kBgr).pixels, (std::vector<uint8_t>{7, 7, 7, 9, 9, 9}));
  EXPECT_EQ(with_channels(gray, Channels::kGray).channels, 1);
}

// SHA-256 of what Pillow 12 gives for pattern(37, 23, 3) resized with BILINEAR.
TEST(ResizeBilinear, IsPillowsBitForBit) {
  const std::map<std::pair<int64_t, int64_t>, std::string> golden = {
      {{10, 7}, "757bb07b9f8e46b77ba83647c087942c05de6df1e805abd27d47fb97a04df43c"},
      {{80, 60}, "3726a2ecd6165e6034e406883c8693023a88144c93a1b1c470adbdca9c4a9f4c"},
      {{37, 9}, "6c72044a68deecdbcb89cd37142c8cb5e65e3ea38df2e68fccc3f46465975e8f"},
      {{12, 23}, "9506b7347f4349b2e902db1fddc88d5339a50955d57bd34a4d95f75d959494bd"},
      {{5, 40}, "5c09fcb429a9305c5caab3fb9ef3b8c87a111c82ba3fc33843b6d1d8583a6daa"},
      {{1, 1}, "cab0f7271106d37dbb920198b35de8997c1f3d76fe12036167a33648d71b4ba5"},
  };
  for (const auto& [size, hash] : golden) {
    const Image resized = resize_bilinear(pattern(37, 23, 3), size.first, size.second);
    EXPECT_EQ(resized.width, size.first);
    EXPECT_EQ(resized.height, size.second);
    EXPECT_EQ(sha256_hex(std::as_bytes(std::span(resized.pixels))), hash)
        << size.first << " x " << size.second;
  }
}

TEST(ResizeBilinear, SameSizeAndConstantPictures) {
  EXPECT_EQ(resize_bilinear(pattern(7, 5, 3), 7, 5).pixels, pattern(7, 5, 3).pixels);
  const Image flat{31, 17, 1, std::vector<uint8_t>(31 * 17, 201)};
  for (const uint8_t pixel : resize_bilinear(flat, 8, 40).pixels) EXPECT_EQ(pixel, 201);
}

}  // namespace
}  // namespace fewbit
