#include "kernels/kernel_cases.h"

#include <fmt/format.h>

#include <array>

#include "kernels/binary/binary.h"
#include "kernels/few_bit/few_bit.h"
#include "kernels/pattern_codes/pattern_codes.h"
#include "kernels/vector_codes/vector_codes.h"
#include "kernels/kv_attention/kv_attention.h"
#include "kernels/int8_conv/int8_conv.h"

namespace fewbit {
namespace {

constexpr std::array<MatrixShape, 16> shapes() {
  constexpr int64_t kMatrices[][2] = {{4096, 4096}, {11008, 4096}, {2048, 2048}, {1536, 576}};
  constexpr int64_t kRowCounts[] = {1, 4, 16, 512};
  std::array<MatrixShape, 16> all{};
  size_t i = 0;
  for (const auto& matrix : kMatrices) {
    for (const int64_t m : kRowCounts) all[i++] = {m, matrix[0], matrix[1]};
  }
  return all;
}

constexpr std::array<MatrixShape, 16> kMatrixShapes = shapes();

constexpr KernelFamily kFamilies[] = {
    {"few_bit", few_bit_cases},           {"pattern_codes", pattern_codes_cases},
    {"vector_codes", vector_codes_cases}, {"kv_attention", kv_attention_cases},
    {"int8_conv", int8_conv_cases},       {"binary", binary_cases},
};

}  // namespace

std::span<const KernelFamily> kernel_families() {
  return kFamilies;
}

std::span<const MatrixShape> matrix_shapes() {
  return kMatrixShapes;
}

std::string MatrixShape::name() const {
  return fmt::format("{}x{}x{}", m, n, k);
}

}  // namespace fewbit
