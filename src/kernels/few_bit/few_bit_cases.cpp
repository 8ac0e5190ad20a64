// The products of this family that `fewbit bench-kernels` measures.

#include <memory>

#include "base/random.h"
#include "kernels/few_bit/few_bit.h"

namespace fewbit {
namespace {

constexpr std::string_view kFormats[] = {
    "int8/g32", "int6/g32", "int5/g32", "int4/g32", "int4/g128", "uint4/g32", "int4/g32:u6",
    "int3/g32", "int2/g32", "int2/g64", "ternary",  "binary",    "q4_K",      "q2_K",
    "q3_K",     "q6_K",     "iq4_nl",   "mxfp4",    "nvfp4",
};

// Weights of one format and shape; the last ones are kept for the next number of rows.
Result<FewBitGemm> product(std::string_view format, const MatrixShape& shape) {
  struct Last {
    std::string key;
    std::optional<FewBitGemm> gemm;
  };
  static Last last;
  const std::string key = fmt::format("{} {}x{}", format, shape.n, shape.k);
  if (last.key != key) {
    std::vector<float> w(static_cast<size_t>(shape.n * shape.k));
    Random(1).fill_normal(w, 0, 1);
    FEWBIT_ASSIGN(const Format parsed, parse_format(format));
    FEWBIT_ASSIGN(const PackedMatrix packed,
                  encode(parsed, {w, shape.n, shape.k, {}}, {.search = false}));
    FEWBIT_ASSIGN(FewBitGemm gemm, FewBitGemm::prepare(packed, {}));
    last = {key, std::move(gemm)};
  }
  return *last.gemm;
}

struct Operands {
  std::vector<float> x, y;
};

KernelSample sample(const FewBitGemm& gemm, int64_t m, const std::shared_ptr<Operands>& operands) {
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
  FEWBIT_ASSIGN(const FewBitGemm gemm, product(format, shape));
  auto operands = std::make_shared<Operands>();
  operands->x.resize(static_cast<size_t>(shape.m * shape.k));
  operands->y.resize(static_cast<size_t>(shape.m * shape.n));
  Random(2).fill_normal(operands->x, 0, 1);
  return sample(gemm, shape.m, operands);
}

}  // namespace

std::vector<KernelCase> few_bit_cases() {
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
