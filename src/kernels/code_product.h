#pragma once
// A product on the codes of its weights, by whichever family of kernels multiplies them best:
// few_bit, pattern_codes or vector_codes.

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "formats/format.h"
#include "kernels/few_bit/few_bit.h"
#include "kernels/panel_product.h"

namespace fewbit {

/// The family and instruction set that multiply weights in `format` with m rows of activations,
/// "few_bit/avx512_vnni"; nothing where no kernel takes them.
std::optional<std::string> code_product_kernel(const Format& format, int64_t cols, int64_t m,
                                               FewBitActivations activations);

struct CodeProduct {
  std::string kernel;  ///< "few_bit/avx512_vnni/int4/g32"
  int64_t packed_bytes = 0;
  std::function<void(const ProductCall& call, int threads)> run;
};

/// w is `matrix` [n, k]; bias [n] or empty; `m` rows of activations are to be expected. Errors
/// (kUnsupported): no kernel takes the format.
Result<CodeProduct> prepare_code_product(const PackedMatrix& matrix, std::span<const float> bias,
                                         int64_t m, FewBitActivations activations);

}  // namespace fewbit
