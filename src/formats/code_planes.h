#pragma once
// Codes of 1 to 8 bits in bytes, without a bit lost, in an order that vector registers like: a row
// is cut into chunks of 32 codes, and a chunk into planes of 4, 2 and 1 bits, so that a whole plane
// unpacks with one mask and one shift.
//
//   chunk of m codes (m = 32; the last one of a row: what is left, rounded up to a multiple of 8)
//
//   bits  planes          plane of 4 bits, m/2 bytes: byte j = code j | code j+m/2 << 4
//     8   8               plane of 2 bits, m/4 bytes: byte j = code j | code j+m/4 << 2
//     7   4 2 1                                           | code j+2m/4 << 4 | code j+3m/4 << 6
//     6   4 2             plane of 1 bit,  m/8 bytes: byte j = code j | code j+m/8 << 1 | ...
//     5   4   1           plane of 8 bits, m bytes:   byte j = code j
//     4   4
//     3     2 1           The first plane holds the low bits of each code, the next the bits above.
//     2     2             Chunks follow each other without gaps: a row of n codes takes
//     1       1           ceil(n / 8) * bits bytes.
//
// A chunk of 4 bits is ordered as a block of GGUF's q4_0 is.

#include <cstddef>
#include <cstdint>

namespace fewbit {

inline constexpr int64_t kPlaneChunk = 32;

/// Bytes that a row of `count` codes takes.
constexpr int64_t plane_bytes(int64_t count, int bits) {
  return (count + 7) / 8 * bits;
}

/// codes [count], each below 2^bits -> bytes [plane_bytes(count, bits)]. Codes that fill up the
/// last chunk are zero.
void pack_planes(const uint8_t* codes, int64_t count, int bits, uint8_t* bytes);
/// The inverse.
void unpack_planes(const uint8_t* bytes, int64_t count, int bits, uint8_t* codes);

}  // namespace fewbit
