#include "formats/code_planes.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace fewbit {
namespace {

// The widths of the planes, low bits first.
constexpr std::array<int, 4> kWidths = {8, 4, 2, 1};

// Calls visit(width, shift) for each plane of a code of `bits`.
template <typename Visit>
void for_each_plane(int bits, const Visit& visit) {
  int shift = 0;
  for (int width : kWidths) {
    if (bits - shift < width) continue;
    visit(width, shift);
    shift += width;
  }
}

template <int Width>
void pack_plane(const uint8_t* codes, int64_t m, int shift, uint8_t* bytes) {
  constexpr int kPerByte = 8 / Width;
  constexpr int kMask = (1 << Width) - 1;
  const int64_t n = m / kPerByte;
  for (int64_t j = 0; j < n; ++j) {
    int byte = 0;
    for (int k = 0; k < kPerByte; ++k) byte |= (codes[j + k * n] >> shift & kMask) << (k * Width);
    bytes[j] = static_cast<uint8_t>(byte);
  }
}

template <int Width>
void unpack_plane(const uint8_t* bytes, int64_t m, int shift, uint8_t* codes) {
  constexpr int kPerByte = 8 / Width;
  constexpr int kMask = (1 << Width) - 1;
  const int64_t n = m / kPerByte;
  for (int k = 0; k < kPerByte; ++k) {
    for (int64_t j = 0; j < n; ++j) {
      const int code = bytes[j] >> (k * Width) & kMask;
      uint8_t& out = codes[j + k * n];
      out = static_cast<uint8_t>(out | code << shift);
    }
  }
}

void pack_chunk(const uint8_t* codes, int64_t m, int bits, uint8_t* bytes) {
  for_each_plane(bits, [&](int width, int shift) {
    if (width == 8) std::memcpy(bytes, codes, static_cast<size_t>(m));
    if (width == 4) pack_plane<4>(codes, m, shift, bytes);
    if (width == 2) pack_plane<2>(codes, m, shift, bytes);
    if (width == 1) pack_plane<1>(codes, m, shift, bytes);
    bytes += m * width / 8;
  });
}

// `codes` must be zero before.
void unpack_chunk(const uint8_t* bytes, int64_t m, int bits, uint8_t* codes) {
  for_each_plane(bits, [&](int width, int shift) {
    if (width == 8) std::memcpy(codes, bytes, static_cast<size_t>(m));
    if (width == 4) unpack_plane<4>(bytes, m, shift, codes);
    if (width == 2) unpack_plane<2>(bytes, m, shift, codes);
    if (width == 1) unpack_plane<1>(bytes, m, shift, codes);
    bytes += m * width / 8;
  });
}

}  // namespace

void pack_planes(const uint8_t* codes, int64_t count, int bits, uint8_t* bytes) {
  int64_t at = 0;
  if (bits == 8) {
    at = count / kPlaneChunk * kPlaneChunk;
    std::memcpy(bytes, codes, static_cast<size_t>(at));
    bytes += at;
  }
  for (; at + kPlaneChunk <= count; at += kPlaneChunk) {
    pack_chunk(codes + at, kPlaneChunk, bits, bytes);
    bytes += kPlaneChunk * bits / 8;
  }
  if (at == count) return;
  std::array<uint8_t, kPlaneChunk> tail{};
  std::copy(codes + at, codes + count, tail.begin());
  pack_chunk(tail.data(), (count - at + 7) / 8 * 8, bits, bytes);
}

void unpack_planes(const uint8_t* bytes, int64_t count, int bits, uint8_t* codes) {
  if (bits == 8) {
    std::memcpy(codes, bytes, static_cast<size_t>(count));
    return;
  }
  std::memset(codes, 0, static_cast<size_t>(count));
  int64_t at = 0;
  for (; at + kPlaneChunk <= count; at += kPlaneChunk) {
    unpack_chunk(bytes, kPlaneChunk, bits, codes + at);
    bytes += kPlaneChunk * bits / 8;
  }
  if (at == count) return;
  std::array<uint8_t, kPlaneChunk> tail{};
  unpack_chunk(bytes, (count - at + 7) / 8 * 8, bits, tail.data());
  std::copy_n(tail.begin(), count - at, codes + at);
}

}  // namespace fewbit
