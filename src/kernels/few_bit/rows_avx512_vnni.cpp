// The AVX512-VNNI row, and the AMX row, which differs from it where there are many activations.

#if defined(__x86_64__)

// g++ 12 takes the undefined pass-through operands of its own intrinsics for a mistake of ours
// (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include "kernels/few_bit/few_bit_core.h"

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")

#include "kernels/few_bit/vec_avx512.h"
// The policy first: the kernel header uses it.
#include "kernels/few_bit/block_kernel.h"
#include "kernels/few_bit/expand_kernel.h"
#include "kernels/few_bit/panel_kernel.h"
#include "kernels/few_bit/row_kernel.h"

namespace fewbit::few_bit {

const Row kAvx512VnniRow = {.isa = Isa::kAvx512Vnni,
                            .label = "avx512_vnni",
                            .emulated = false,
                            .byte_zero = 128,
                            .run = run_panels<VecAvx512>,
                            .run_float = run_float_panels<VecAvx512>,
                            .expand = expand<VecAvx512>,
                            .block = block<VecAvx512>,
                            .largest_bits = largest_bits,
                            .round = round_to_bytes,
                            .finish = finish_row};

const Row kAmxRow = {.isa = Isa::kAmx,
                     .label = "amx",
                     .emulated = false,
                     .byte_zero = 0,
                     .run = run_panels<VecAvx512>,
                     .run_float = run_float_panels<VecAvx512>,
                     .expand = expand<VecAvx512>,
                     .block = amx_block,
                     .largest_bits = largest_bits,
                     .round = round_to_bytes,
                     .finish = finish_row};

}  // namespace fewbit::few_bit

#endif
