// The products of this family that `fewbit bench-kernels` measures.

#include <memory>

#include "base/random.h"
#include "kernels/vector_codes/vector_codes.h"

namespace fewbit {
namespace {

constexpr std::string_view kFormats[] = {"vq2_1x6", "vq2_1x8", "vq4_1x8", "vq4_2x8",
                                         "vq8_1x8", "vq8_2x8", "vq8_3x8"};

// Codes and books at random: to learn them would take a minute each, and time does not depend on
// them. The last ones are kept for the next number of rows.
Result<VectorGemm> product(std::string_view format, const MatrixShape& shape) {
  struct Last {
    std::string key;
    std::optional<VectorGemm> gemm;
  };
  static Last last;
  const std::string key = fmt::format("{} {}x{}", format, shape.n, shape.k);
  if (last.key != key) {
    FEWBIT_ASSIGN(const Format parsed, parse_format(format));
    PackedMatrix packed = make_packed(parsed, shape.n, shape.k);
    Random random(1);
    for (const char* part : {"codes", "books"}) {
      Tensor& t = packed.part(part);
      auto* bytes = reinterpret_cast<uint8_t*>(t.raw());
      for (int64_t i = 0; i < t.bytes(); ++i) bytes[i] = static_cast<uint8_t>(random.next());
    }
    Tensor& scales = packed.part("scales");
    for (int64_t i = 0; i < scales.elements(); ++i) {
      store_scale(parsed.scale, 0.01F, scales.raw(), i);
    }
    FEWBIT_ASSIGN(VectorGemm gemm, VectorGemm::prepare(packed, {}));
    last = {key, std::move(gemm)};
  }
  return *last.gemm;
}

struct Operands {
  std::vector<float> x, y;
};

KernelSample sample(const VectorGemm& gemm, int64_t m, const std::shared_ptr<Operands>& operands) {
  KernelSample s;
  s.isa = gemm.isa();
  s.bytes = gemm.packed_bytes();
  s.ops = 2.0 * static_cast<double>(m * gemm.rows() * gemm.depth());
  s.run = [=](int threads) {
    gemm.run({.m = m, .x = operands->x.data(), .y = operands->y.data()}, threads);
  };
  s.duplicate = [=] { return sample(gemm.duplicate(), m, operands); };
  return s;
}

Result<KernelSample> prepare(std::string_view format, const MatrixShape& shape) {
  FEWBIT_ASSIGN(const VectorGemm gemm, product(format, shape));
  auto operands = std::make_shared<Operands>();
  operands->x.resize(static_cast<size_t>(shape.m * shape.k));
  operands->y.resize(static_cast<size_t>(shape.m * shape.n));
  Random(2).fill_normal(operands->x, 0, 1);
  return sample(gemm, shape.m, operands);
}

}  // namespace

std::vector<KernelCase> vector_codes_cases() {
  std::vector<KernelCase> cases;
  for (const std::string_view format : kFormats) {
    for (const MatrixShape& shape : matrix_shapes()) {
      cases.push_back({std::string(format), shape.name(), shape.m, shape.n, shape.k,
                       [=] { return prepare(format, shape); }});
    }
  }
  return cases;
}

}  // namespace fewbit
