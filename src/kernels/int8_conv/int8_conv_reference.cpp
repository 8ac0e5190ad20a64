#include "kernels/int8_conv/int8_conv_reference.h"

#include "kernels/int8_gemm/int8_reference.h"

namespace fewbit {
namespace {

struct Reference {
  const Int8ConvSpec& s;
  const Int8ConvShape& shape;
  const void* weights;
  const void* input;
  int64_t in_stride;

  int64_t sum(int64_t image, int64_t oy, int64_t ox, int64_t channel) const {
    const int64_t channels = s.group_in_channels();
    const int64_t group = channel / s.group_out_channels();
    int32_t weight_zero = 0;
    if (!s.weight_zero.empty()) {
      weight_zero = s.weight_zero[s.weight_zero.size() == 1 ? 0 : static_cast<size_t>(channel)];
    }
    int64_t sum = 0;
    for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
      const int64_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
      for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
        const int64_t x = ox * s.stride_w - s.pad_left + kx * s.dilation_w;
        if (y < 0 || y >= shape.in_h || x < 0 || x >= shape.in_w) continue;
        const int64_t pixel = (image * shape.in_h + y) * shape.in_w + x;
        for (int64_t i = 0; i < channels; ++i) {
          const int32_t a = byte_at(input, pixel * in_stride + group * channels + i, s.input_type);
          const int64_t at = ((channel * channels + i) * s.kernel_h + ky) * s.kernel_w + kx;
          sum += int64_t{a - s.input_zero} * (byte_at(weights, at, s.weight_type) - weight_zero);
        }
      }
    }
    return sum;
  }
};

}  // namespace

void int8_conv_reference(const Int8ConvSpec& s, const Int8ConvShape& shape, const void* weights,
                         std::span<const int32_t> bias, const void* input, const void* residual,
                         void* output) {
  const auto dense = [](int64_t stride, int64_t channels) {
    return stride != 0 ? stride : channels;
  };
  const Reference reference = {s, shape, weights, input,
                               dense(shape.in_pixel_stride, s.in_channels)};
  const int64_t out_stride = dense(shape.out_pixel_stride, s.out_channels);
  const int64_t residual_stride = dense(shape.residual_pixel_stride, s.out_channels);
  for (int64_t p = 0; p < shape.batch * shape.out_h * shape.out_w; ++p) {
    const int64_t ox = p % shape.out_w;
    const int64_t oy = p / shape.out_w % shape.out_h;
    const int64_t image = p / shape.out_w / shape.out_h;
    for (int64_t c = 0; c < s.out_channels; ++c) {
      const int64_t acc =
          reference.sum(image, oy, ox, c) + (bias.empty() ? 0 : bias[static_cast<size_t>(c)]);
      const int32_t r =
          residual == nullptr ? 0 : byte_at(residual, p * residual_stride + c, s.output.type);
      int8_output_reference(s.output, c, static_cast<int32_t>(acc), r, nullptr, output,
                            p * out_stride + c);
    }
  }
}

}  // namespace fewbit
