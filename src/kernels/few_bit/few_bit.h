#pragma once
// Products of weights in few bits with activations in int8 or float32:
//
//   y[m, n] = sum_k x[m, k] w[n, k] + bias[n]
//
//   w[n, k] = scale[n, g] * level(code) + offset[n, g]    formats/code_form.h; g = group of k
//
// Activations in int8 are quantized on the way, per token:
//
//   x[m, k] ~ s[m] * q,  s = max_k |x[m, k]| / 127,  q = rne(x / s) in [-127, 127]
//
//   y = s[m] * sum_g (scale[n, g] * sum_k level * q + offset[n, g] * sum_k q) + bias[n]
//
// Sums over a group are exact in int32; groups are added in float32, in the order of k. Rows of x
// are independent. A row of zeros gives the bias; a row with NaN or infinity gives NaN.
//
// Levels that are no integers (nf4) are rounded once to int8 under a common factor: by at most
// 1/254 of the largest level. Of more than 16 levels (fp8) only those are taken that are integers
// under a common factor (fp6e2m3).
//
// From kBlockRows rows on, weights of up to 4 bits are expanded to int8 once more, under one scale
// for each row and each kBlockDepth k, so that sums run over all of these k in int32 (AMX tiles
// where the processor has them). This rounds a weight by at most 1/254 + 2^-10 of the largest that
// the codes of its row can name within these k, an eighth of what 4 bits have rounded off. Where
// one scale holds for a whole row and levels are integers, nothing is rounded.
//
// Packing: see panels.h.

#include <memory>
#include <optional>
#include <span>

#include "base/result.h"
#include "formats/format.h"
#include "kernels/isa.h"
#include "kernels/kernel_cases.h"
#include "kernels/panel_product.h"

namespace fewbit {

/// What activations are rounded to.
enum class FewBitActivations { kInt8, kFloat32 };

/// Whether there are kernels for weights in this format, with activations of this kind.
bool few_bit_takes(const Format& format, FewBitActivations activations);

/// The instruction set that prepare takes where none is asked for: that of the fastest row.
Result<Isa> few_bit_isa();

struct FewBitOptions {
  FewBitActivations activations = FewBitActivations::kInt8;
  std::optional<Isa> isa;
  bool emulated_tiles = false;  ///< AMX's twin without the instructions, for tests
};

/// A product whose w is constant and packed. Immutable: any number of threads may run it.
class FewBitGemm {
 public:
  /// w is `matrix` [n, k]; bias [n] or empty. Errors (kUnsupported): a format that few_bit_takes
  /// does not, or an instruction set that is not here.
  static Result<FewBitGemm> prepare(const PackedMatrix& matrix, std::span<const float> bias,
                                    const FewBitOptions& options = {});

  void run(const ProductCall& call, int threads) const;

  /// The same product with weights of its own in memory, as a benchmark wants them.
  FewBitGemm duplicate() const;

  int64_t rows() const;   ///< n
  int64_t depth() const;  ///< k
  int64_t packed_bytes() const;
  Isa isa() const;
  FewBitActivations activations() const;

  struct Impl;

 private:
  explicit FewBitGemm(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

/// For kernel_cases.h.
std::vector<KernelCase> few_bit_cases();

}  // namespace fewbit
