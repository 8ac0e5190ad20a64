#pragma once
// Gathering the input of a convolution into rows of a matrix product (internal).

#include <cstdint>

#include "kernels/int8_conv/int8_conv_spec.h"

namespace fewbit::int8 {

/// Row r of the matrix is output pixel r (image, y, x in order); its columns are the input values
/// under the kernel in the order (ky, kx, channel of the group).
struct Im2col {
  const Int8ConvSpec* spec = nullptr;
  Int8ConvShape shape;  ///< in_pixel_stride filled in
  const uint8_t* input = nullptr;
  uint8_t flip = 0;  ///< xor-ed to every byte: 0x80 makes int8 unsigned
  uint8_t pad = 0;   ///< padding, already flipped

  /// Writes rows [row, row + rows) to dst, dst_stride bytes apart; the bytes after the last column
  /// are 0. dst has kCopySlack spare bytes at its end.
  void gather(int64_t group, int64_t row, int64_t rows, uint8_t* dst, int64_t dst_stride) const;
};

}  // namespace fewbit::int8
