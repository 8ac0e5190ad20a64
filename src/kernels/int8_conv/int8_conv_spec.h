#pragma once
// The description of an 8-bit convolution, shared by the dense, grouped and depthwise kernels.

#include <cstdint>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "kernels/int8_gemm/int8_output.h"

namespace fewbit {

/// A 1-D convolution is a 2-D one with height 1.
struct Int8ConvSpec {
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t groups = 1;
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  /// Top and left padding; what is needed at the bottom and right follows from the output size.
  /// Padding has the value `input_zero`, so that it contributes nothing.
  int64_t pad_top = 0, pad_left = 0;
  DType input_type = DType::kUint8;  ///< kUint8 or kInt8
  int32_t input_zero = 0;
  DType weight_type = DType::kInt8;  ///< kInt8 or kUint8
  /// Zero points of the weights: empty (all 0), one, or one per output channel.
  std::vector<int32_t> weight_zero;
  /// Keeps the weights in as few bits as their values need and unpacks them when they are used
  /// (int8_gemm/code_panels.h). The results are the same. Depthwise convolutions, whose weights are
  /// next to nothing, keep them as int8.
  bool few_bits = false;
  Int8OutputSpec output;

  int64_t taps() const { return kernel_h * kernel_w; }
  int64_t group_in_channels() const { return in_channels / groups; }
  int64_t group_out_channels() const { return out_channels / groups; }
};

/// The sizes of one call, in pixels. Strides are in elements from one pixel to the next, 0 meaning
/// dense; a larger stride lets a kernel read or write a channel slice of a wider tensor. Rows and
/// images follow each other without gaps: row stride = width * pixel stride.
struct Int8ConvShape {
  int64_t batch = 1;
  int64_t in_h = 1, in_w = 1;
  int64_t out_h = 1, out_w = 1;
  int64_t in_pixel_stride = 0;
  int64_t out_pixel_stride = 0;
  int64_t residual_pixel_stride = 0;
};

/// Checks every size, type and zero point of `spec`.
Status validate(const Int8ConvSpec& spec);

/// Output size by ONNX's rule for the given padding at the end: floor((in + begin + end -
/// dilation * (kernel - 1) - 1) / stride) + 1, or 0 if the kernel does not fit.
int64_t conv_output_size(int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                         int64_t pad_begin, int64_t pad_end);

}  // namespace fewbit
