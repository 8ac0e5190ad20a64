// The row of plain C++, for any processor.

#include "kernels/few_bit/few_bit_core.h"
#include "kernels/few_bit/vec_scalar.h"
// The policy first: the kernel header uses it.
#include "kernels/few_bit/block_kernel.h"
#include "kernels/few_bit/expand_kernel.h"
#include "kernels/few_bit/panel_kernel.h"
#include "kernels/few_bit/row_kernel.h"

namespace fewbit::few_bit {

const Row kScalarRow = {.isa = Isa::kScalar,
                        .label = "scalar",
                        .emulated = false,
                        .byte_zero = 128,
                        .run = run_panels<VecScalar>,
                        .run_float = run_float_panels<VecScalar>,
                        .expand = expand<VecScalar>,
                        .block = block<VecScalar>,
                        .largest_bits = largest_bits,
                        .round = round_to_bytes,
                        .finish = finish_row};

// The AMX row's twin without the instructions, for tests.
const Row kAmxEmulatedRow = {.isa = Isa::kAmx,
                             .label = "amx (emulated)",
                             .emulated = true,
                             .byte_zero = 0,
                             .run = run_panels<VecScalar>,
                             .run_float = run_float_panels<VecScalar>,
                             .expand = expand<VecScalar>,
                             .block = amx_block_emulated,
                             .largest_bits = largest_bits,
                             .round = round_to_bytes,
                             .finish = finish_row};

}  // namespace fewbit::few_bit
