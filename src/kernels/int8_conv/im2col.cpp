#include "kernels/int8_conv/im2col.h"

#include <algorithm>
#include <cstring>

#include "kernels/int8_gemm/int8_core.h"

namespace fewbit::int8 {
namespace {

// The columns of one kernel row: kernel_w taps of `channels` bytes each.
struct KernelRow {
  const Int8ConvSpec& spec;
  const Int8ConvShape& shape;
  int64_t channels;
  uint8_t flip;
  uint8_t pad;
  const uint8_t* src_end;

  // `line` is the first byte of the group in the first pixel of the input line.
  void write(uint8_t* dst, const uint8_t* line, int64_t x) const {
    const int64_t stride = shape.in_pixel_stride;
    if (spec.dilation_w == 1 && stride == channels) {
      const int64_t before = std::clamp<int64_t>(-x, 0, spec.kernel_w);
      const int64_t end = std::clamp<int64_t>(shape.in_w - x, before, spec.kernel_w);
      std::memset(dst, pad, static_cast<size_t>(before * channels));
      copy_run(dst + before * channels, line + (x + before) * channels, (end - before) * channels,
               flip, src_end);
      std::memset(dst + end * channels, pad, static_cast<size_t>((spec.kernel_w - end) * channels));
      return;
    }
    for (int64_t kx = 0; kx < spec.kernel_w; ++kx, dst += channels, x += spec.dilation_w) {
      if (x < 0 || x >= shape.in_w) {
        std::memset(dst, pad, static_cast<size_t>(channels));
      } else {
        copy_run(dst, line + x * stride, channels, flip, src_end);
      }
    }
  }
};

}  // namespace

void Im2col::gather(int64_t group, int64_t row, int64_t rows, uint8_t* dst,
                    int64_t dst_stride) const {
  const Int8ConvSpec& s = *spec;
  const int64_t channels = s.group_in_channels();
  const int64_t line_bytes = shape.in_w * shape.in_pixel_stride;
  const int64_t image_bytes = shape.in_h * line_bytes;
  const uint8_t* src_end =
      input + shape.batch * image_bytes - shape.in_pixel_stride + s.in_channels;
  const KernelRow kernel_row = {s, shape, channels, flip, pad, src_end};
  const int64_t segment = s.kernel_w * channels;
  const int64_t tail = dst_stride - s.kernel_h * segment;
  int64_t ox = row % shape.out_w;
  int64_t oy = row / shape.out_w % shape.out_h;
  int64_t image = row / shape.out_w / shape.out_h;
  for (int64_t r = 0; r < rows; ++r) {
    const uint8_t* base = input + image * image_bytes + group * channels;
    uint8_t* to = dst + r * dst_stride;
    for (int64_t ky = 0; ky < s.kernel_h; ++ky, to += segment) {
      const int64_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
      if (y < 0 || y >= shape.in_h) {
        std::memset(to, pad, static_cast<size_t>(segment));
      } else {
        kernel_row.write(to, base + y * line_bytes, ox * s.stride_w - s.pad_left);
      }
    }
    std::memset(to, 0, static_cast<size_t>(tail));
    if (++ox < shape.out_w) continue;
    ox = 0;
    if (++oy < shape.out_h) continue;
    oy = 0;
    ++image;
  }
}

}  // namespace fewbit::int8
