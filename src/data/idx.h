#pragma once
// IDX, the format of the MNIST family (as Debian's dataset-fashion-mnist ships it, in gzip):
//
//   0 0 type rank | rank x size (uint32) | elements      all numbers most significant byte first

#include <cstddef>
#include <span>
#include <string_view>

#include "base/result.h"
#include "base/tensor.h"

namespace fewbit {

struct IdxHeader {
  DType type = DType::kUndefined;
  Dims dims;
  size_t data_offset = 0;
  int64_t data_bytes = 0;
};

/// True if the bytes begin as an IDX file does.
bool looks_like_idx(std::span<const std::byte> bytes);

/// The longest header: 255 dimensions.
inline constexpr size_t kMaxIdxHeaderBytes = 4 + 255 * 4;

/// Reads the header at the start of `bytes`, which need not hold the data too. Errors (kBadInput):
/// not IDX, an unknown element type, cut off.
Result<IdxHeader> parse_idx_header(std::span<const std::byte> bytes, std::string_view name);

}  // namespace fewbit
