// The NEON row with USDOT (FEAT_I8MM).

#if defined(__aarch64__)

#include "kernels/few_bit/few_bit_core.h"

#pragma GCC target("arch=armv8.2-a+dotprod+i8mm")

#define FEWBIT_HAS_I8MM
#include "kernels/few_bit/vec_neon.h"
// The policy first: the kernel header uses it.
#include "kernels/few_bit/block_kernel.h"
#include "kernels/few_bit/expand_kernel.h"
#include "kernels/few_bit/panel_kernel.h"
#include "kernels/few_bit/row_kernel.h"

namespace fewbit::few_bit {

const Row kNeonI8mmRow = {.isa = Isa::kNeonI8mm,
                          .label = "neon_i8mm",
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
