#pragma once
// 8-bit convolution, dense, grouped or depthwise, on channels-last activations.
//
//   input    [batch, in_h, in_w, in_channels]        uint8 or int8
//   weights  [out_channels, in_channels / groups, kernel_h, kernel_w]   int8 or uint8 (ONNX order)
//   bias     [out_channels] int32, scale a_scale * w_scale; may be empty
//   output   [batch, out_h, out_w, out_channels]     uint8, int8, float32 or int32
//   residual as output (only with output.residual)
//
//   acc = sum over ky, kx, i of (input - input_zero) (weight - weight_zero[c]) + bias[c]
// where pixels outside the image count as input_zero, then the output stage of int8_output.h.
//
// How it works: a convolution is the matrix product of int8_gemm, [pixels, K] x [K, out_channels]
// with K = kernel_h * kernel_w * in_channels / groups in the order (ky, kx, channel). Pointwise
// convolutions read their input in place; others copy the input lines of a few output lines into a
// padded band in the first-level cache and read the rows of the product from there (image_band.h),
// so that nothing is ever written kernel_h * kernel_w times as im2col does. Depthwise convolutions
// go to int8_depthwise.
//
// No buffer is read or written past its last element. Output and input must not overlap; the
// residual may be the output itself (same stride).

#include <memory>
#include <optional>
#include <span>

#include "kernels/int8_conv/int8_conv_spec.h"
#include "kernels/isa.h"
#include "kernels/kernel_cases.h"

namespace fewbit {

/// What a prepared convolution offers; dense and depthwise kernels implement it.
class Int8ConvKernel {
 public:
  virtual ~Int8ConvKernel() = default;
  virtual void run(const Int8ConvShape& shape, const void* input, const void* residual,
                   void* output, int threads) const = 0;
  virtual int64_t packed_bytes() const = 0;
  virtual int weight_bits() const { return 8; }  ///< that a weight takes in memory
  virtual Isa isa() const = 0;
};

/// A convolution whose weights are packed, ready to run. Immutable: any number of threads may call
/// run at once.
class Int8Conv {
 public:
  /// Packs the weights for `isa`, or for selected_isa(). Errors name the offending field.
  static Result<Int8Conv> prepare(const Int8ConvSpec& spec, const void* weights,
                                  std::span<const int32_t> bias,
                                  std::optional<Isa> isa = std::nullopt);

  /// `residual` is null without output.residual. `threads` >= 1 is the largest number of OpenMP
  /// threads to use; small work uses fewer.
  void run(const Int8ConvShape& shape, const void* input, const void* residual, void* output,
           int threads) const {
    kernel_->run(shape, input, residual, output, threads);
  }

  int64_t packed_bytes() const { return kernel_->packed_bytes(); }
  int weight_bits() const { return kernel_->weight_bits(); }
  Isa isa() const { return kernel_->isa(); }

 private:
  explicit Int8Conv(std::shared_ptr<const Int8ConvKernel> kernel) : kernel_(std::move(kernel)) {}
  std::shared_ptr<const Int8ConvKernel> kernel_;
};

/// For kernel_cases.h: with int8 weights and with weights in few bits.
std::vector<KernelCase> int8_conv_cases();

}  // namespace fewbit
