#pragma once
// Products of single bits: binary networks and bit-serial arithmetic. All results are exact
// integers.
//
// Binary (XNOR-Net, Rastegari et al. 2016, arXiv 1603.05279): weights and activations are -1 or +1,
// a bit each (1 for values >= 0; negative values and NaN are 0). With C channels in a sum,
//
//   dot = sum a w = C - 2 popcount(a xor w)
//
// A convolution's padding is 0, which is neither -1 nor +1: what it contributes is taken out again,
// so that only taps inside the image count. Scales are the caller's: y ~ K[pixel] alpha[n] dot
// with alpha[n] = mean |w[n]| (equation 6; BinaryConv keeps it) and K the mean magnitude of the
// activations, of a row of a matrix or of the window (equation 11).
//
// Bit-serial (Umuroglu et al. 2018, "BISMO", arXiv 1806.08862): unsigned codes as planes of bits,
//
//   sum a (w - zero) = sum over i, j of 2^(i + j) popcount(a_j and w_i) - zero sum a
//
// Layout of bits: channels of a pixel (a row of a matrix) in 64-bit words, channel c in bit c % 64
// of word c / 64, every group of channels begun in a new word, the rest 0:
// [batch, h, w, groups, ceil(channels of a group / 64)].

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "kernels/isa.h"
#include "kernels/kernel_cases.h"

namespace fewbit {

/// 64-bit words of `count` bits.
inline int64_t bit_words(int64_t count) {
  return (count + 63) / 64;
}

/// Signs of `count` values as bits to bit_words(count) words. Returns the mean magnitude.
float pack_signs(const float* values, int64_t count, uint64_t* bits);

struct BinaryConvSpec {
  int64_t in_channels = 0, out_channels = 0, groups = 1;
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;  ///< bottom and right follow from the output size

  int64_t taps() const { return kernel_h * kernel_w; }
  int64_t group_in() const { return in_channels / groups; }
  int64_t group_out() const { return out_channels / groups; }
  int64_t pixel_words() const { return groups * bit_words(group_in()); }
};

struct BinaryConvShape {
  int64_t batch = 1;
  int64_t in_h = 1, in_w = 1;
  int64_t out_h = 1, out_w = 1;
};

/// A convolution (or, 1x1 over the rows of a matrix, a product) of signs. Immutable: any number of
/// threads may run it.
class BinaryConv {
 public:
  /// Takes the signs of weights [out_channels, in_channels / groups, kernel_h, kernel_w]. Errors
  /// (kBadInput, kUnsupported): sizes that do not fit, an instruction set that is not here.
  static Result<BinaryConv> prepare(const BinaryConvSpec& spec, std::span<const float> weights,
                                    std::optional<Isa> isa = std::nullopt);

  /// dots [batch, out_h, out_w, out_channels] from bits as drawn above.
  void run(const BinaryConvShape& shape, const uint64_t* input, int32_t* dots, int threads) const;

  /// Mean magnitude of the weights of each output channel.
  std::span<const float> scales() const;
  int64_t packed_bytes() const;
  Isa isa() const;

  struct Impl;

 private:
  explicit BinaryConv(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

/// A product of unsigned codes of 1 or 2 bits (weights) with codes of 1 to 4 bits, plane by plane.
class BitSerialGemm {
 public:
  /// codes [n, k], each below 2^bits; they stand for code - zero.
  static Result<BitSerialGemm> prepare(std::span<const uint8_t> codes, int64_t n, int64_t k,
                                       int bits, int32_t zero,
                                       std::optional<Isa> isa = std::nullopt);

  /// y [m, n] from codes a [m, k], each below 2^a_bits.
  void run(const uint8_t* a, int64_t m, int a_bits, int32_t* y, int threads) const;

  int64_t packed_bytes() const;
  Isa isa() const;

  struct Impl;

 private:
  explicit BitSerialGemm(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

/// For kernel_cases.h.
std::vector<KernelCase> binary_cases();

}  // namespace fewbit
