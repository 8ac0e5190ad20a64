// The AVX-VNNI row.

#if defined(__x86_64__)

#include "kernels/few_bit/few_bit_core.h"

#pragma GCC target("avx2,fma,f16c,avxvnni")

#define FEWBIT_HAS_VNNI
#include "kernels/few_bit/vec_avx2.h"
// The policy first: the kernel header uses it.
#include "kernels/few_bit/panel_kernel.h"

namespace fewbit::few_bit {

const Row kAvxVnniRow = {Isa::kAvxVnni, "avx_vnni", run_panels<Vec256>};

}  // namespace fewbit::few_bit

#endif
