// The AVX2 row.

#if defined(__x86_64__)

#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/kv_attention/kv_core.h"

#pragma GCC target("avx2,fma")

#include <immintrin.h>

#include "kernels/pointwise/vec/vec_scalar.h"
#include "kernels/kv_attention/lanes_avx2.h"
// The policy first: the kernel headers use it.
#include "kernels/kv_attention/row_kernels.h"

namespace fewbit::kv {

const VectorRow kAvx2Row = vector_row<Lanes256>(Isa::kAvx2, "avx2");

}  // namespace fewbit::kv

#endif
