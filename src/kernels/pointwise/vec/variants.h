// Includes FEWBIT_LOOPS once per vector width; see simd.h. No include guard: that is the point.
// Everything that the loops need from the standard library must be included before this file, so
// that no inline function of it is compiled for a target that the processor may not have.

// The scalar loops stay scalar: they are what the others are checked against, and g++ 12 at -O3
// vectorizes one of them (the blocked channel sums of a pool) into wrong code.
#pragma GCC push_options
#pragma GCC optimize("no-tree-vectorize")
#include "kernels/pointwise/vec/vec_scalar.h"
#define FEWBIT_VARIANT scalar
#include "kernels/pointwise/vec/sweep.h"
#include FEWBIT_LOOPS
#undef FEWBIT_VARIANT
#pragma GCC pop_options

#if defined(__x86_64__)
// g++ 12 takes the undefined pass-through operands of its own intrinsics for a mistake of ours
// (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#include "kernels/pointwise/vec/vec_avx2.h"
#define FEWBIT_VARIANT avx2
#include "kernels/pointwise/vec/sweep.h"
#include FEWBIT_LOOPS
#undef FEWBIT_VARIANT
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
#include "kernels/pointwise/vec/vec_avx512.h"
#define FEWBIT_VARIANT avx512
#include "kernels/pointwise/vec/sweep.h"
#include FEWBIT_LOOPS
#undef FEWBIT_VARIANT
#pragma GCC pop_options
#else
namespace fewbit::pointwise {
namespace avx2 = scalar;
namespace avx512 = scalar;
}  // namespace fewbit::pointwise
#endif
