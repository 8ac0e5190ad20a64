// The AVX-VNNI row.

#if defined(__x86_64__)

#include "kernels/pattern_codes/pattern_core.h"

#pragma GCC target("avx2,fma,f16c,avxvnni")

#define FEWBIT_HAS_VNNI
#include "kernels/pattern_codes/panel_256.h"

namespace fewbit::pattern_codes {

const Row kAvxVnniRow = {Isa::kAvxVnni, "avx_vnni", run_panels, arranged_bytes, arrange};

}  // namespace fewbit::pattern_codes

#endif
