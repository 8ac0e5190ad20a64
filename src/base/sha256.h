#pragma once
// SHA-256 (FIPS 180-4): names data and models by their content in outputs and logs.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace fewbit {

/// Incremental: update() in pieces of any size, then digest() or hex(), which may be called again
/// and do not end the stream.
class Sha256 {
 public:
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  /// Appends the eight bytes of `value`, least significant first; separates fields of a record.
  void update_number(uint64_t value);

  std::array<uint8_t, 32> digest() const;
  /// 64 lower-case hexadecimal digits.
  std::string hex() const;

 private:
  void take_blocks(const uint8_t* bytes, size_t blocks);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> pending_{};
  uint64_t bytes_ = 0;
};

std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view text);

}  // namespace fewbit
