#pragma once
// Products of weights in few bits with activations in int8, which are quantized on the way:
//
//   y[m, n] = sum_k x[m, k] w[n, k] + bias[n]
//
//   w[n, k] = scale[n, g] * code + offset[n, g]       2 to 8 bits, formats/affine.h; g = group of k
//   x[m, k] ~ s[m] * q,  s = max_k |x[m, k]| / 127,  q = rne(x / s) in [-127, 127]     per token
//
//   y = s[m] * sum_g (scale[n, g] * sum_k code * q + offset[n, g] * sum_k q) + bias[n]
//
// Sums over a group are exact in int32; groups are added in float32, in the order of k. Rows of x
// are independent. A row of zeros gives the bias; a row with NaN or infinity gives NaN.
//
// Packing: sixteen rows of w form a panel, one in each 32-bit lane of a 512-bit register. Four
// consecutive k are the four bytes of a lane, as VPDPBUSD takes them. A chunk is 32 k:
//
//   plane of 8 bits, 8 lines of 64 bytes: byte 4 l + i of line j = code of lane l, k = 4 j + i
//   plane of 4 bits, 4 lines: low half of a byte as line 2 j, high half as line 2 j + 1
//   plane of 2 bits, 2 lines: bits 2 s of a byte as line 4 j + s
//   plane of 1 bit,  1 line:  bit j of a byte as line j
//   (planes of a width as in formats/code_planes.h: 7 = 4 + 2 + 1, low bits first)
//
// A group is its chunks, then 16 scales (float16 if all of them are float16 values, else float32),
// then, unless offset = -zero * scale, 16 offsets (float32). Groups of 16 share a chunk, whose
// scales are two vectors. What fills up k is code 0 against q = 0; what fills up a panel has scale
// 0.

#include <memory>
#include <optional>
#include <span>

#include "base/result.h"
#include "formats/format.h"
#include "kernels/isa.h"
#include "kernels/kernel_cases.h"

namespace fewbit {

/// The instruction set that prepare takes where none is asked for: that of the fastest row.
Result<Isa> few_bit_isa();

struct FewBitCall {
  int64_t m = 0;
  const float* x = nullptr;  ///< [m, k], rows x_stride elements apart
  int64_t x_stride = 0;      ///< 0: k
  float* y = nullptr;        ///< [m, n], rows y_stride elements apart; may not overlap x
  int64_t y_stride = 0;      ///< 0: n
};

/// A product whose w is constant and packed. Immutable: any number of threads may run it.
class FewBitGemm {
 public:
  /// w is `matrix` [n, k]; bias [n] or empty. Errors (kUnsupported): a format that is not affine,
  /// or an instruction set that is not here.
  static Result<FewBitGemm> prepare(const PackedMatrix& matrix, std::span<const float> bias,
                                    std::optional<Isa> isa = std::nullopt);

  void run(const FewBitCall& call, int threads) const;

  /// The same product with weights of its own in memory, as a benchmark wants them.
  FewBitGemm duplicate() const;

  int64_t rows() const;   ///< n
  int64_t depth() const;  ///< k
  int64_t packed_bytes() const;
  Isa isa() const;

  struct Impl;

 private:
  explicit FewBitGemm(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

/// For kernel_cases.h.
std::vector<KernelCase> few_bit_cases();

}  // namespace fewbit
