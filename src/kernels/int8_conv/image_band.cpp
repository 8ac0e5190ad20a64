#include "kernels/int8_conv/image_band.h"

#include <algorithm>
#include <cstring>

namespace fewbit::int8 {

std::vector<int64_t> ImageBand::run_offsets(int64_t pitch_bytes, int64_t pixel) const {
  std::vector<int64_t> out;
  const int64_t per_line = spec->dilation_w == 1 ? 1 : spec->kernel_w;
  for (int64_t run = 0; run < runs(*spec); ++run) {
    out.push_back(run / per_line * spec->dilation_h * pitch_bytes +
                  run % per_line * spec->dilation_w * pixel);
  }
  return out;
}

int64_t ImageBand::band_lines(int64_t out_lines) const {
  return (out_lines - 1) * spec->stride_h + (spec->kernel_h - 1) * spec->dilation_h + 1;
}

int64_t ImageBand::band_columns(int64_t out_pixels) const {
  return (out_pixels - 1) * spec->stride_w + (spec->kernel_w - 1) * spec->dilation_w + 1;
}

int64_t ImageBand::pitch() const {
  return band_columns(shape.out_w) * spec->group_in_channels();
}

Band ImageBand::copy(int64_t group, int64_t line, int64_t lines, int64_t x, int64_t pixels,
                     uint8_t* band) const {
  const int64_t channels = spec->group_in_channels();
  const int64_t stride = shape.in_pixel_stride;
  const int64_t image = line / shape.out_h;
  const int64_t first_y = line % shape.out_h * spec->stride_h - spec->pad_top;
  const int64_t first_x = x * spec->stride_w - spec->pad_left;
  const int64_t columns = band_columns(pixels);
  const int64_t before = std::clamp<int64_t>(-first_x, 0, columns);
  const int64_t end = std::clamp<int64_t>(shape.in_w - first_x, before, columns);
  const uint8_t* src_end =
      input + (shape.batch * shape.in_h * shape.in_w - 1) * stride + spec->in_channels;
  for (int64_t i = 0; i < band_lines(lines); ++i) {
    uint8_t* to = band + i * pitch();
    const int64_t y = first_y + i;
    if (y < 0 || y >= shape.in_h || before == end) {
      std::memset(to, pad, static_cast<size_t>(columns * channels));
      continue;
    }
    const uint8_t* from = input +
                          ((image * shape.in_h + y) * shape.in_w + first_x + before) * stride +
                          group * channels;
    std::memset(to, pad, static_cast<size_t>(before * channels));
    to += before * channels;
    if (stride == channels) {
      copy_run(to, from, (end - before) * channels, flip, src_end);
    } else {
      for (int64_t c = 0; c < end - before; ++c) {
        copy_run(to + c * channels, from + c * stride, channels, flip, src_end);
      }
    }
    std::memset(to + (end - before) * channels, pad,
                static_cast<size_t>((columns - end) * channels));
  }
  return {band, spec->stride_w * channels, spec->stride_h * pitch()};
}

}  // namespace fewbit::int8
