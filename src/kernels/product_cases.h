#pragma once
// The products of a family that `fewbit bench-kernels` measures, where the family is a class with
// run(ProductCall, threads), duplicate(), rows(), depth(), packed_bytes() and isa().

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/kernel_cases.h"
#include "kernels/panel_product.h"

namespace fewbit {

struct ProductOperands {
  std::vector<float> x, y;
};

/// What bounds the arithmetic of a product; families that also compute in floats overload it.
template <class Gemm>
KernelArithmetic arithmetic_of(const Gemm&) {
  return KernelArithmetic::kInt8;
}

template <class Gemm>
KernelSample product_sample(const Gemm& gemm, int64_t m,
                            const std::shared_ptr<ProductOperands>& operands) {
  KernelSample s;
  s.isa = gemm.isa();
  s.arithmetic = arithmetic_of(gemm);
  s.bytes = gemm.packed_bytes();
  s.ops = 2.0 * static_cast<double>(m * gemm.rows() * gemm.depth());
  s.run = [=](int threads) {
    gemm.run({.m = m, .x = operands->x.data(), .y = operands->y.data()}, threads);
  };
  s.duplicate = [=] { return product_sample(gemm.duplicate(), m, operands); };
  return s;
}

/// All formats in all shapes. `make` prepares weights of a format, n and k; the last ones are kept
/// for the next number of rows of activations.
template <class Gemm>
std::vector<KernelCase> product_cases(std::span<const std::string_view> formats,
                                      Result<Gemm> (*make)(std::string_view, int64_t, int64_t)) {
  struct Last {
    std::string key;
    std::optional<Gemm> gemm;
  };
  const auto last = std::make_shared<Last>();
  std::vector<KernelCase> cases;
  for (const std::string_view format : formats) {
    for (const MatrixShape& shape : matrix_shapes()) {
      const auto prepare = [=]() -> Result<KernelSample> {
        const std::string key = fmt::format("{} {}x{}", format, shape.n, shape.k);
        if (last->key != key) {
          FEWBIT_ASSIGN(Gemm gemm, make(format, shape.n, shape.k));
          *last = {key, std::move(gemm)};
        }
        auto operands = std::make_shared<ProductOperands>();
        operands->x.resize(static_cast<size_t>(shape.m * shape.k));
        operands->y.resize(static_cast<size_t>(shape.m * shape.n));
        Random(2).fill_normal(operands->x, 0, 1);
        return product_sample(*last->gemm, shape.m, operands);
      };
      cases.push_back({std::string(format), shape.name(), shape.m, shape.n, shape.k, prepare});
    }
  }
  return cases;
}

}  // namespace fewbit
