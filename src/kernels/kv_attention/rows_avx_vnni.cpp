// The AVX-VNNI row.

#if defined(__x86_64__)

#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/kv_attention/kv_core.h"

#pragma GCC target("avx2,fma,avxvnni")

#include <immintrin.h>

#include "kernels/pointwise/vec/vec_scalar.h"
#define FEWBIT_HAS_VNNI
#include "kernels/kv_attention/lanes_avx2.h"
// The policy first: the kernel headers use it.
#include "kernels/kv_attention/row_kernels.h"

namespace fewbit::kv {

const VectorRow kAvxVnniRow = vector_row<Lanes256>(Isa::kAvxVnni, "avx_vnni");

}  // namespace fewbit::kv

#endif
