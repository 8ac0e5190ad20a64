#pragma once
// Decompression of deflate streams (zlib), bare as in zip files or in gzip's wrapping.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

struct z_stream_s;

namespace fewbit {

/// A stream read from front to back. The compressed bytes must outlive it.
class Inflater {
 public:
  enum class Wrapping { kRaw, kGzip };

  /// `name` is for messages.
  Inflater(std::span<const std::byte> compressed, Wrapping wrapping, std::string name);
  Inflater(Inflater&&) noexcept;
  ~Inflater();

  /// Fills `out`. Errors (kBadInput): damaged data, or it ends before.
  Status read(std::span<std::byte> out);
  /// Fills `out` as far as the stream goes; returns the bytes written.
  Result<size_t> read_some(std::span<std::byte> out);
  /// Checks that nothing is left, and in gzip's case that its checksum is right.
  Status expect_end();

  /// CRC-32 of all bytes given out.
  uint32_t crc() const { return crc_; }

 private:
  std::unique_ptr<z_stream_s> stream_;
  std::span<const std::byte> unread_;  ///< Not yet handed to zlib, which takes 4 GiB at a time.
  std::string name_;
  uint32_t crc_ = 0;
  bool ended_ = false;
};

/// The most bytes that deflate can give for so many compressed ones (1032 for 1, and a little): a
/// header that promises more is wrong, and is found out before the memory is taken.
int64_t largest_inflated_bytes(int64_t compressed_bytes);

/// Memory for decompressed data: on the heap if small, else in a file without a name in TMPDIR
/// (default /var/tmp), mapped, so that the system can write it out and take the memory back.
struct Scratch {
  std::byte* data = nullptr;
  std::shared_ptr<void> owner;
};
/// Errors (kIo): the disk of that folder is full or read-only.
Result<Scratch> allocate_scratch(int64_t bytes, int64_t heap_limit_bytes = int64_t{64} << 20);

}  // namespace fewbit
