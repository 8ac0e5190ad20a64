#pragma once
// The input of a convolution as the rows of a matrix product, without im2col (internal).
//
// A row of the product is an output pixel; its k run over (ky, kx, channel). In a channels-last
// image the kernel_w * channels bytes of one kernel line lie together, and neighbouring output
// pixels start stride_w * channels bytes apart. So a tile can read its rows straight from the
// image, one run per kernel line, if only padding is there and every byte is unsigned. To that end
// the few input lines that a block of output lines needs are copied once into a band in the
// first-level cache:
//
//   band line i = input line y0 + i:   | pad | pixel 0 | pixel 1 | ... | pad |   pitch bytes
//
// kernel_h * kernel_w times fewer bytes than im2col writes. With dilation_w > 1 every tap is a run.

#include <cstdint>

#include "kernels/int8_conv/int8_conv_spec.h"
#include "kernels/int8_gemm/int8_core.h"

namespace fewbit::int8 {

struct ImageBand {
  const Int8ConvSpec* spec = nullptr;
  Int8ConvShape shape;  ///< in_pixel_stride filled in
  const uint8_t* input = nullptr;
  uint8_t flip = 0;  ///< xor-ed to every byte: 0x80 makes int8 unsigned
  uint8_t pad = 0;   ///< padding, already flipped

  /// Runs of the product: kernel lines, or taps where they do not lie together.
  static int64_t runs(const Int8ConvSpec& spec) {
    return spec.dilation_w == 1 ? spec.kernel_h : spec.taps();
  }
  /// Offsets of the runs for lines `pitch` bytes and pixels `pixel` bytes apart.
  std::vector<int64_t> run_offsets(int64_t pitch, int64_t pixel) const;

  /// Bytes from one band line to the next: a whole padded line, so that the offsets of the runs do
  /// not depend on the block.
  int64_t pitch() const;
  int64_t band_lines(int64_t out_lines) const;
  int64_t band_columns(int64_t out_pixels) const;

  /// Copies what pixels [x, x + pixels) of output lines [line, line + lines) of one image need.
  Band copy(int64_t group, int64_t line, int64_t lines, int64_t x, int64_t pixels,
            uint8_t* band) const;
};

}  // namespace fewbit::int8
