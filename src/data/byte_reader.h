#pragma once
// Reading numbers from bytes of a file, never past their end.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace fewbit {

/// Unsigned little-endian number of `size` <= 8 bytes at `offset`, or nothing past the end.
inline std::optional<uint64_t> little_endian(std::span<const std::byte> bytes, uint64_t offset,
                                             size_t size) {
  if (offset > bytes.size() || bytes.size() - offset < size) return std::nullopt;
  uint64_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[offset + i]);
  return value;
}

/// The same, most significant byte first.
inline std::optional<uint64_t> big_endian(std::span<const std::byte> bytes, uint64_t offset,
                                          size_t size) {
  if (offset > bytes.size() || bytes.size() - offset < size) return std::nullopt;
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(bytes[offset + i]);
  return value;
}

/// bytes[offset, offset + size), or nothing if that is not within.
inline std::optional<std::span<const std::byte>> slice(std::span<const std::byte> bytes,
                                                       uint64_t offset, uint64_t size) {
  if (offset > bytes.size() || bytes.size() - offset < size) return std::nullopt;
  return bytes.subspan(static_cast<size_t>(offset), static_cast<size_t>(size));
}

}  // namespace fewbit
