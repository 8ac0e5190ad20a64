#pragma once
// Products of vector-quantized weights with activations in int8, which are quantized on the way:
//
//   y[m, n] = sum_k x[m, k] w[n, k] + bias[n]
//
//   w[n, dim v + d] = scale[n, g] * sum over books b of book[b][code[n, b, v]][d]      int8 entries
//   x[m, k] ~ s[m] * q,  s = max_k |x[m, k]| / 127,  q = rne(x / s) in [-127, 127]     per token
//
//   y = s[m] * sum_g (scale[n, g] * sum over k in g and b of entry * q) + bias[n]
//
// Sums over a group (of up to 2^15 k) are exact in int32; groups are added in float32, in the order
// of k. Rows of x are independent. A row of zeros gives the bias; a row with NaN or infinity gives
// NaN.
//
// Sixteen rows of w form a panel, one in each 32-bit lane of a 512-bit register, and the four bytes
// of a lane are the codes of four neighbouring vectors (a unit). Weight d of all 64 vectors is one
// look-up of bytes in a table of 256 (two VPERMI2B) or 64 (one VPERMB), and four bytes of a lane
// are then multiplied with weight d's activations of the four vectors at once (VPDPBUSD). Where
// there are no such permutations, entries are gathered.
//
// Packing: a chunk is one unit of codes of 8 bits, or four units of codes of 6 bits, for each book
// after the other:
//
//   8 bits, 1 line of 64 bytes: byte 4 l + i = code of lane l, vector i
//   6 bits, 3 lines: low nibbles of units 0 and 1 (low and high half of a byte), of units 2 and 3,
//                    and bits 4 and 5 of unit u at bits 2 u of the last line's bytes
//
// A group is its chunks, then 16 scales (float32). What fills up a group is code 0 against q = 0;
// what fills up a panel has scale 0.

#include <memory>
#include <optional>
#include <span>

#include "base/result.h"
#include "formats/format.h"
#include "kernels/isa.h"
#include "kernels/kernel_cases.h"
#include "kernels/panel_product.h"

namespace fewbit {

/// The formats that VectorGemm takes: vq2_1x6 to vq8_3x8.
bool has_vector_codes(const Format& format, int64_t cols);

/// The instruction set that prepare takes where none is asked for.
Result<Isa> vector_codes_isa();

/// A product whose w is constant and packed. Immutable: any number of threads may run it.
class VectorGemm {
 public:
  /// w is `matrix` [n, k]; bias [n] or empty. Errors (kUnsupported): another format, or an
  /// instruction set that is not here (avx512_vnni needs AVX512-VBMI beside it).
  static Result<VectorGemm> prepare(const PackedMatrix& matrix, std::span<const float> bias,
                                    std::optional<Isa> isa = std::nullopt);

  void run(const ProductCall& call, int threads) const;

  /// The same product with weights of its own in memory, as a benchmark wants them.
  VectorGemm duplicate() const;

  int64_t rows() const;   ///< n
  int64_t depth() const;  ///< k
  int64_t packed_bytes() const;
  Isa isa() const;

  struct Impl;

 private:
  explicit VectorGemm(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

/// For kernel_cases.h.
std::vector<KernelCase> vector_codes_cases();

}  // namespace fewbit
