#include "kernels/pointwise/unary/unary.h"

#include <algorithm>
#include <cmath>

#include "kernels/pointwise/vec/parallel.h"
#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

using UnarySpan = void (*)(const float* src, float* dst, int64_t n, float alpha, float beta);
struct UnaryTable {
  UnarySpan of[kUnaryOpCount];
};

}  // namespace
}  // namespace fewbit::pointwise

#define FEWBIT_LOOPS "kernels/pointwise/unary/unary_loops.h"
#include "kernels/pointwise/vec/variants.h"

namespace fewbit::pointwise {

void unary(const Unary& f, const float* src, float* dst, int64_t n) {
  const UnarySpan run =
      pick(scalar::kTable, avx2::kTable, avx512::kTable).of[static_cast<size_t>(f.op)];
  parallel_elems(n, [&](int64_t begin, int64_t end) {
    run(src + begin, dst + begin, end - begin, f.alpha, f.beta);
  });
}

}  // namespace fewbit::pointwise
