// The NEON row with SDOT (FEAT_DotProd).

#if defined(__aarch64__)

#include "kernels/few_bit/few_bit_core.h"

#pragma GCC target("arch=armv8.2-a+dotprod")

#include "kernels/few_bit/vec_neon.h"
// The policy first: the kernel header uses it.
#include "kernels/few_bit/block_kernel.h"
#include "kernels/few_bit/expand_kernel.h"
#include "kernels/few_bit/panel_kernel.h"
#include "kernels/few_bit/row_kernel.h"

namespace fewbit::few_bit {

const Row kNeonDotprodRow = {.isa = Isa::kNeonDotprod,
                             .label = "neon_dotprod",
                             .emulated = false,
                             .byte_zero = 0,
                             .run = run_panels<VecNeon>,
                             .run_float = run_float_panels<VecNeon>,
                             .expand = expand<VecNeon>,
                             .block = block<VecNeonBytes>,
                             .largest_bits = largest_bits,
                             .round = round_to_bytes,
                             .finish = finish_row};

}  // namespace fewbit::few_bit

#endif
