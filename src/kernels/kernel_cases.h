#pragma once
// What there is to measure. Every family of kernels lists its products in a file <family>_cases.cpp
// beside its code; `fewbit bench-kernels` (eval/kernel_rates.h) times them against the limits of
// the machine.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernels/isa.h"

namespace fewbit {

/// Which of the machine's peaks bounds the arithmetic of a kernel.
enum class KernelArithmetic {
  kInt8,      ///< 8-bit multiply-accumulates, AMX tiles where the processor has them
  kFloat32,   ///< fused multiply-adds
  kBfloat16,  ///< AMX tiles of bfloat16, else as kFloat32
  kBinary,    ///< products of single bits: exclusive or, population count
};

/// A product that is prepared and can be run. Copies read weights of their own.
struct KernelSample {
  Isa isa = Isa::kScalar;
  KernelArithmetic arithmetic = KernelArithmetic::kInt8;
  int64_t bytes =
      0;           ///< read by one call and too many for a cache: packed weights, keys and values
  double ops = 0;  ///< of one call: two per multiply-accumulate
  std::function<void(int threads)> run;
  /// The same product with weights elsewhere in memory.
  std::function<KernelSample()> duplicate;
};

/// One product of one family, not prepared yet.
struct KernelCase {
  std::string format;  ///< of the weights
  std::string shape;   ///< "1x4096x4096" (m x n x k), "3x3 256->256 @14"
  /// Rows of activations (pixels of a convolution), rows of weights, and weights in a row.
  int64_t m = 0, n = 0, k = 0;
  std::function<Result<KernelSample>()> prepare;
};

struct KernelFamily {
  std::string_view name;  ///< folder of src/kernels
  std::vector<KernelCase> (*cases)();
};

/// All families, in the order of the documentation.
std::span<const KernelFamily> kernel_families();

/// The shapes on which matrix products are compared, m varying fastest: each of n x k 4096x4096,
/// 11008x4096, 2048x2048, 1536x576 with m = 1, 4, 16, 512.
struct MatrixShape {
  int64_t m, n, k;
  std::string name() const;
};
std::span<const MatrixShape> matrix_shapes();

}  // namespace fewbit
