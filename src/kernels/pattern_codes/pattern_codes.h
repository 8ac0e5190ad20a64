#pragma once
// Products of weights of which one code stands for several, with activations in int8, which are
// quantized on the way:
//
//   y[m, n] = sum_k x[m, k] w[n, k] + bias[n]
//
//   w[n, k] = scale[n, g] * t,  t in {-1, 0, 1}      g = group of k
//   x[m, k] ~ s[m] * q,  s = max_k |x[m, k]| / 127,  q = rne(x / s) in [-127, 127]     per token
//
//   y = s[m] * sum_g (scale[n, g] * sum_k t * q) + bias[n]
//
// Sums over a group are exact in int32; groups are added in float32, in the order of k. Rows of x
// are independent. A row of zeros gives the bias; a row with NaN or infinity gives NaN.
//
// A code has 5 bits and is looked up to a pattern of four bytes t + 1, of which VPDPBUSD multiplies
// all at once; what t + 1 adds too much is taken off beforehand (sums begin with -sum of q).
//
//   sherry1.25            32 patterns of 4 weights, one of them 0      1.25 bits per weight
//   ternary formats       27 patterns of 3 weights, the 4th byte is 0  1.67 bits per weight
//
// So one shift, one look-up in 32 dwords (VPERMI2D heeds the low 5 bits of a lane, whatever lies
// above them) and one product make 64 or 48 multiplications.
//
// Packing: sixteen rows of w form a panel, one in each 32-bit lane of a 512-bit register. Five
// lines of 64 bytes are a block of 32 codes a row without a bit left over:
//
//   dword d of a lane, d = 0 .. 4     31 30 | 29 .. 25 | 24 .. 20 | 19 .. 15 | .. |  4 .. 0
//                                     rest  | 6 d + 5  | 6 d + 4  | 6 d + 3  | .. |  code 6 d
//   code 30, from bit 0 on: rests of dwords 0 and 1, low bit of the rest of dword 2
//   code 31: high bit of the rest of dword 2, rests of dwords 3 and 4
//
// What a group has beyond whole blocks lies six codes to a dword, rests unused. Then come 16 scales
// (float16 if all of them are float16 values, else float32). What fills up a group stands for no
// weight: pattern 0 0 0 0 for ternary, and q = 0 for sherry, whose groups only end within a code
// where the row does. What fills up a panel has scale 0.

#include <memory>
#include <optional>
#include <span>

#include "base/result.h"
#include "formats/format.h"
#include "kernels/isa.h"
#include "kernels/kernel_cases.h"
#include "kernels/panel_product.h"

namespace fewbit {

/// The formats that PatternGemm takes: sherry1.25 and all ternary ones (GGUF's included).
bool has_pattern_codes(const Format& format, int64_t cols);

/// The instruction set that prepare takes where none is asked for.
Result<Isa> pattern_codes_isa();

/// Whether products with m rows of activations are to use PatternGemm. Where arithmetic takes the
/// time and not memory, with many rows or 256-bit registers, few_bit is faster, at two bits a
/// weight (sherry1.25 goes there as formats/sherry.h makes it ternary).
bool prefers_pattern_codes(const Format& format, int64_t cols, int64_t m);

/// A product whose w is constant and packed. Immutable: any number of threads may run it.
class PatternGemm {
 public:
  /// w is `matrix` [n, k]; bias [n] or empty. Errors (kUnsupported): another format, a ternary
  /// matrix with a code above 2 (such storage can hold it, and encoders do not write it), rows of
  /// more than 2^23 weights, or an instruction set that is not here.
  static Result<PatternGemm> prepare(const PackedMatrix& matrix, std::span<const float> bias,
                                     std::optional<Isa> isa = std::nullopt);

  void run(const ProductCall& call, int threads) const;

  /// The same product with weights of its own in memory, as a benchmark wants them.
  PatternGemm duplicate() const;

  int64_t rows() const;   ///< n
  int64_t depth() const;  ///< k
  int64_t packed_bytes() const;
  Isa isa() const;

  struct Impl;

 private:
  explicit PatternGemm(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

/// For kernel_cases.h.
std::vector<KernelCase> pattern_codes_cases();

}  // namespace fewbit
