#pragma once
// Bytes of a file that is being read, and tensors made of them without a copy where that is
// possible.

#include <cstdint>
#include <memory>
#include <span>

#include "base/tensor.h"

namespace fewbit {

/// Bytes that tensors may view.
struct ByteSource {
  std::span<const std::byte> bytes;
  std::shared_ptr<void> owner;  ///< null: the bytes do not outlive the reading, tensors copy them
  bool mapped = false;          ///< pages of a file: given back once they have been copied
};

/// The tensor whose elements are `bytes`, a part of `source`. They are viewed where they lie if
/// they are aligned for the element type, else copied. Booleans other than 0 and 1 become 1, in a
/// copy. The number of bytes must be that of the tensor.
Tensor view_or_copy(DType type, Dims dims, std::span<const std::byte> bytes,
                    const ByteSource& source);

/// Where a tensor of so many bytes begins in a file that is to be mapped: at a multiple of the
/// page, so that it can be mapped alone, from 64 KiB on; else, where that would be mostly padding,
/// at a multiple of a cache line, which is enough for any load.
inline constexpr uint64_t kPageBytes = 4096;
inline constexpr uint64_t kLineBytes = 64;
inline constexpr uint64_t mapping_alignment(uint64_t bytes) {
  return bytes >= 16 * kPageBytes ? kPageBytes : kLineBytes;
}

}  // namespace fewbit
