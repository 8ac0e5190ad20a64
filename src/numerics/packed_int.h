#pragma once
// Elements of 4 and 2 bits in ONNX's packing: flat over the whole tensor, the first element in the
// lowest bits of the first byte; a last byte that is not full has zeros above.
//
//   4 bits: byte i = element 2i | element 2i+1 << 4        2 bits: byte i = elements 4i .. 4i+3

#include <cstddef>
#include <cstdint>
#include <span>

namespace fewbit {

/// The code of element i, without sign extension.
template <int Bits>
constexpr uint8_t packed_code(const uint8_t* bytes, size_t i) {
  static_assert(Bits == 2 || Bits == 4);
  constexpr size_t kPerByte = 8 / Bits;
  return static_cast<uint8_t>(bytes[i / kPerByte] >> (i % kPerByte * Bits)) & ((1 << Bits) - 1);
}

/// Replaces the code of element i; bits of `code` above the low ones are dropped.
template <int Bits>
constexpr void set_packed_code(uint8_t* bytes, size_t i, uint8_t code) {
  static_assert(Bits == 2 || Bits == 4);
  constexpr size_t kPerByte = 8 / Bits;
  constexpr int kMask = (1 << Bits) - 1;
  const auto shift = static_cast<int>(i % kPerByte * Bits);
  uint8_t& byte = bytes[i / kPerByte];
  byte = static_cast<uint8_t>((byte & ~(kMask << shift)) | (code & kMask) << shift);
}

/// A code of Bits bits as a signed number (two's complement).
template <int Bits>
constexpr int8_t sign_extend(uint8_t code) {
  constexpr int kSign = 1 << (Bits - 1);
  return static_cast<int8_t>((code ^ kSign) - kSign);
}

/// Bytes that `count` elements of `bits` take.
constexpr size_t packed_bytes(size_t count, int bits) {
  return (count * static_cast<size_t>(bits) + 7) / 8;
}

/// Whole rows of codes. `packed` holds packed_bytes(count, Bits) bytes, and starts at element 0 of
/// a byte. pack_* take values in the type's range (out of range: the high bits are dropped).
void unpack_int4(const uint8_t* packed, std::span<int8_t> values);
void unpack_uint4(const uint8_t* packed, std::span<uint8_t> values);
void unpack_int2(const uint8_t* packed, std::span<int8_t> values);
void unpack_uint2(const uint8_t* packed, std::span<uint8_t> values);
void pack_int4(std::span<const int8_t> values, uint8_t* packed);
void pack_uint4(std::span<const uint8_t> values, uint8_t* packed);
void pack_int2(std::span<const int8_t> values, uint8_t* packed);
void pack_uint2(std::span<const uint8_t> values, uint8_t* packed);

}  // namespace fewbit
