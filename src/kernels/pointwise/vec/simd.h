#pragma once
// Which vector width the pointwise kernels use, chosen from kernels/isa.h, and how their loops are
// compiled once per width.
//
// A family writes its loops once, in a *_loops.h that uses the vector type V (vec_*.h) and lives in
// namespace fewbit::pointwise::FEWBIT_VARIANT; its .cpp names that header and includes variants.h,
// which includes it under each target. The loops end with a table of function pointers, and
// `pick` chooses between the three tables at each call.

#include <cstdint>

namespace fewbit::pointwise {

enum class Simd : uint8_t { kScalar, kAvx2, kAvx512 };

/// The width in use: what FEWBIT_ISA or the processor gives (AVX512 means F, BW, DQ and VL), or
/// what a test has forced.
Simd simd();

/// True if that width runs on this processor.
bool simd_runs_here(Simd level);

/// Forces a width while it lives: tests and benchmarks of every row.
class SimdScope {
 public:
  explicit SimdScope(Simd level);
  ~SimdScope();
  SimdScope(const SimdScope&) = delete;
  SimdScope& operator=(const SimdScope&) = delete;

 private:
  int before_;
};

template <typename Table>
const Table& pick(const Table& scalar, const Table& avx2, const Table& avx512) {
  switch (simd()) {
    case Simd::kAvx512:
      return avx512;
    case Simd::kAvx2:
      return avx2;
    case Simd::kScalar:
      break;
  }
  return scalar;
}

}  // namespace fewbit::pointwise
