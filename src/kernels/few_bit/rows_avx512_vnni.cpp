// The AVX512-VNNI row.

#if defined(__x86_64__)

// g++ 12 takes the undefined pass-through operands of its own intrinsics for a mistake of ours
// (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include "kernels/few_bit/few_bit_core.h"

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")

#include "kernels/few_bit/vec_avx512.h"
// The policy first: the kernel header uses it.
#include "kernels/few_bit/panel_kernel.h"

namespace fewbit::few_bit {

const Row kAvx512VnniRow = {Isa::kAvx512Vnni, "avx512_vnni", run_panels<VecAvx512>};

}  // namespace fewbit::few_bit

#endif
