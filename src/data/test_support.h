#pragma once
// What the tests of this folder share: files made on the spot.

#include <gtest/gtest.h>
#include <png.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "data/image.h"

namespace fewbit {

/// A test with a folder of its own, removed afterwards.
class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        std::filesystem::path(testing::TempDir()) /
        fmt::format("fewbit_data_{}_{}_{}", ::getpid(), info->test_suite_name(), info->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  /// Writes a file, making folders as needed; returns its path.
  std::string put(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories(std::filesystem::path(at(name)).parent_path());
    EXPECT_TRUE(write_file(at(name), content).ok());
    return at(name);
  }

  std::filesystem::path folder_;
};

inline std::span<const std::byte> bytes_of_text(const std::string& text) {
  return std::as_bytes(std::span(text));
}

/// A picture whose pixels are all different from their neighbours.
inline Image pattern(int64_t width, int64_t height, int64_t channels) {
  Image image{width, height, channels, {}};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < channels; ++c) {
        image.pixels.push_back(static_cast<uint8_t>(x * 7 + y * 13 + c * 31 + x * y % 17));
      }
    }
  }
  return image;
}

/// `image` (1, 3 or 4 channels: gray, RGB, RGBA) as a PNG file.
inline std::string png_file(const Image& image) {
  png_image writer{};
  writer.version = PNG_IMAGE_VERSION;
  writer.width = static_cast<png_uint_32>(image.width);
  writer.height = static_cast<png_uint_32>(image.height);
  writer.format = image.channels == 1   ? PNG_FORMAT_GRAY
                  : image.channels == 3 ? PNG_FORMAT_RGB
                                        : PNG_FORMAT_RGBA;
  png_alloc_size_t size = 0;
  EXPECT_NE(png_image_write_to_memory(&writer, nullptr, &size, 0, image.pixels.data(), 0, nullptr),
            0);
  std::string file(size, '\0');
  EXPECT_NE(
      png_image_write_to_memory(&writer, file.data(), &size, 0, image.pixels.data(), 0, nullptr),
      0);
  file.resize(size);
  return file;
}

inline std::string little_endian_text(uint64_t value, size_t size) {
  std::string text;
  for (size_t i = 0; i < size; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

/// Deflated by zlib: bare, or as gzip.
inline std::string deflated(const std::string& content, bool gzip) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, gzip ? 31 : -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, content.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct ZipContent {
  std::string name;
  std::string content;
  bool deflate = false;
  bool wide = false;  ///< Sizes and offset in the 64-bit fields.
};

/// A zip file, as NumPy's savez makes it.
inline std::string zip_file(const std::vector<ZipContent>& contents) {
  std::string file;
  std::string directory;
  const auto n = little_endian_text;
  for (const ZipContent& entry : contents) {
    const std::string data = entry.deflate ? deflated(entry.content, false) : entry.content;
    const uint64_t crc = crc32(0, reinterpret_cast<const Bytef*>(entry.content.data()),
                               static_cast<uInt>(entry.content.size()));
    const uint64_t stored = entry.wide ? 0xffffffff : data.size();
    const uint64_t content = entry.wide ? 0xffffffff : entry.content.size();
    const uint64_t offset = file.size();
    const std::string common = n(20, 2) + n(0, 2) + n(entry.deflate ? 8 : 0, 2) + n(0, 4) +
                               n(crc, 4) + n(stored, 4) + n(content, 4) + n(entry.name.size(), 2);
    const std::string sizes = n(entry.content.size(), 8) + n(data.size(), 8);
    const std::string local_extra = entry.wide ? n(1, 2) + n(16, 2) + sizes : "";
    const std::string extra = entry.wide ? n(1, 2) + n(24, 2) + sizes + n(offset, 8) : "";
    file += n(0x04034b50, 4) + common + n(local_extra.size(), 2) + entry.name + local_extra + data;
    directory += n(0x02014b50, 4) + n(20, 2) + common + n(extra.size(), 2) + n(0, 2) + n(0, 2) +
                 n(0, 2) + n(0, 4) + n(entry.wide ? 0xffffffff : offset, 4) + entry.name + extra;
  }
  const uint64_t at = file.size();
  file += directory;
  file += n(0x06054b50, 4) + n(0, 4) + n(contents.size(), 2) + n(contents.size(), 2) +
          n(directory.size(), 4) + n(at, 4) + n(0, 2);
  return file;
}

/// An npy file with this dictionary and these element bytes.
inline std::string npy_file(const std::string& dictionary, const std::string& data) {
  const std::string header = dictionary + "\n";
  return std::string("\x93NUMPY\x01\x00", 8) + little_endian_text(header.size(), 2) + header + data;
}
inline std::string npy_file(const std::string& descr, const std::string& shape,
                            const std::string& data) {
  return npy_file("{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }",
                  data);
}

/// Expects an error whose message holds `part`.
#define EXPECT_ERROR(result, part)                                       \
  do {                                                                   \
    const auto& checked_ = (result);                                     \
    ASSERT_FALSE(checked_.ok()) << "expected an error with: " << (part); \
    EXPECT_NE(checked_.error().message().find(part), std::string::npos)  \
        << checked_.error().message() << "\ndoes not hold\n"             \
        << (part);                                                       \
  } while (false)

}  // namespace fewbit
