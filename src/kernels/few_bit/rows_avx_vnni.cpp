// The AVX-VNNI row.

#if defined(__x86_64__)

#include "kernels/few_bit/few_bit_core.h"

#pragma GCC target("avx2,fma,f16c,avxvnni")

#define FEWBIT_HAS_VNNI
#include "kernels/few_bit/vec_avx2.h"
// The policy first: the kernel header uses it.
#include "kernels/few_bit/block_kernel.h"
#include "kernels/few_bit/expand_kernel.h"
#include "kernels/few_bit/panel_kernel.h"
#include "kernels/few_bit/row_kernel.h"

namespace fewbit::few_bit {

const Row kAvxVnniRow = {.isa = Isa::kAvxVnni,
                         .label = "avx_vnni",
                         .emulated = false,
                         .byte_zero = 128,
                         .run = run_panels<Vec256>,
                         .run_float = run_float_panels<Vec256>,
                         .expand = expand<Vec256>,
                         .block = block<Vec256>,
                         .largest_bits = largest_bits,
                         .round = round_to_bytes,
                         .finish = finish_row};

}  // namespace fewbit::few_bit

#endif
