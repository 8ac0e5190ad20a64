#pragma once
// Moving values between layouts (kernels/layout.h names them).

#include <cstdint>
#include <span>

#include "base/tensor.h"
#include "kernels/layout.h"

namespace fewbit {

/// Plain and channels-last only, here and below.
/// True if both layouts put the same bytes in the same places for these dimensions.
bool same_bytes(std::span<const int64_t> dims, Layout a, Layout b);

/// Copies between layouts; element size 1, 2, 4 or 8 bytes. `dims` are logical, rank >= 3.
void convert_layout(const void* source, Layout from, void* target, Layout to,
                    std::span<const int64_t> dims, int element_bytes, int threads);

}  // namespace fewbit
