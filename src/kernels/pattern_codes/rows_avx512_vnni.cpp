// The AVX512-VNNI row.

#if defined(__x86_64__)

// g++ 12 takes the undefined pass-through operands of its own intrinsics for a mistake of ours
// (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include "kernels/pattern_codes/pattern_core.h"

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")

#include "kernels/pattern_codes/vec_avx512.h"
// The policy first: the kernel header uses it.
#include "kernels/pattern_codes/panel_kernel.h"

namespace fewbit::pattern_codes {

const Row kAvx512VnniRow = {Isa::kAvx512Vnni, "avx512_vnni", run_panels<VecAvx512>, nullptr,
                            nullptr};

}  // namespace fewbit::pattern_codes

#endif
