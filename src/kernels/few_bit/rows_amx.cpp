// Blocks of many rows on AMX tiles.

#if defined(__x86_64__)

// g++ 12 takes the undefined pass-through operands of its own intrinsics for a mistake of ours
// (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include "kernels/few_bit/few_bit_core.h"

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")

#include "kernels/few_bit/vec_avx512.h"
// The policy first: the kernel header uses it.
#include "kernels/few_bit/amx_block.h"

namespace fewbit::few_bit {

void amx_block(const BlockJob& job) {
  AmxBlock<NativeTile, VecAvx512>::run(job);
}

}  // namespace fewbit::few_bit

#endif
