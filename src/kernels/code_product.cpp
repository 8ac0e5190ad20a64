#include "kernels/code_product.h"

#include <fmt/format.h>

#include "formats/sherry.h"
#include "kernels/pattern_codes/pattern_codes.h"
#include "kernels/vector_codes/vector_codes.h"

namespace fewbit {
namespace {

enum class Family { kFewBit, kPatternCodes, kVectorCodes };

std::optional<Family> family_of(const Format& format, int64_t cols, int64_t m,
                                FewBitActivations activations) {
  const bool bytes = activations == FewBitActivations::kInt8;
  if (bytes && prefers_pattern_codes(format, cols, m)) return Family::kPatternCodes;
  if (few_bit_takes(format, activations)) return Family::kFewBit;
  // As ternary weights.
  if (bytes && formats::is_sherry(format)) return Family::kFewBit;
  if (bytes && has_vector_codes(format, cols)) return Family::kVectorCodes;
  return std::nullopt;
}

std::string_view name_of(Family family) {
  switch (family) {
    case Family::kFewBit:
      return "few_bit";
    case Family::kPatternCodes:
      return "pattern_codes";
    case Family::kVectorCodes:
      return "vector_codes";
  }
  return "";
}

Result<Isa> isa_of(Family family) {
  switch (family) {
    case Family::kFewBit:
      return few_bit_isa();
    case Family::kPatternCodes:
      return pattern_codes_isa();
    case Family::kVectorCodes:
      return vector_codes_isa();
  }
  return few_bit_isa();
}

template <class Gemm>
CodeProduct product_of(Family family, const PackedMatrix& matrix, const Gemm& gemm) {
  return {fmt::format("{}/{}/{}", name_of(family), name_of(gemm.isa()), matrix.format.name()),
          gemm.packed_bytes(),
          [gemm](const ProductCall& call, int threads) { gemm.run(call, threads); }};
}

}  // namespace

std::optional<std::string> code_product_kernel(const Format& format, int64_t cols, int64_t m,
                                               FewBitActivations activations) {
  const std::optional<Family> family = family_of(format, cols, m, activations);
  if (!family) return std::nullopt;
  const Result<Isa> isa = isa_of(*family);
  if (!isa.ok()) return std::nullopt;
  return fmt::format("{}/{}", name_of(*family), name_of(*isa));
}

Result<CodeProduct> prepare_code_product(const PackedMatrix& matrix, std::span<const float> bias,
                                         int64_t m, FewBitActivations activations) {
  const std::optional<Family> family = family_of(matrix.format, matrix.cols, m, activations);
  if (family == Family::kVectorCodes) {
    FEWBIT_ASSIGN(const VectorGemm gemm, VectorGemm::prepare(matrix, bias));
    return product_of(*family, matrix, gemm);
  }
  if (family == Family::kPatternCodes) {
    const Result<PatternGemm> gemm = PatternGemm::prepare(matrix, bias);
    if (gemm.ok()) return product_of(*family, matrix, *gemm);
    // Else it is ternary storage with a code that is none of three, which few_bit takes as it is,
    // or longer rows than patterns may have.
  }
  FewBitOptions options;
  options.activations = activations;
  const bool sherry = formats::is_sherry(matrix.format);
  FEWBIT_ASSIGN(
      const FewBitGemm gemm,
      FewBitGemm::prepare(sherry ? formats::sherry_as_ternary(matrix) : matrix, bias, options));
  return product_of(Family::kFewBit, matrix, gemm);
}

}  // namespace fewbit
