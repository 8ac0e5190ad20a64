// The AVX2 row.

#if defined(__x86_64__)

#include "kernels/pattern_codes/pattern_core.h"

#pragma GCC target("avx2,fma,f16c")

#include "kernels/pattern_codes/panel_256.h"

namespace fewbit::pattern_codes {

const Row kAvx2Row = {Isa::kAvx2, "avx2", run_panels, arranged_bytes, arrange};

}  // namespace fewbit::pattern_codes

#endif
