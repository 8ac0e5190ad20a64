// The AVX512-VNNI row of the depthwise kernel.

#if defined(__x86_64__)

// g++ 12 takes the undefined pass-through operands of its own intrinsics for a mistake of ours
// (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include "kernels/int8_depthwise/depthwise_core.h"

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")

#include "kernels/int8_depthwise/lanes_avx512.h"
// Policies first: the kernel header uses them.
#include "kernels/int8_depthwise/depthwise_kernel.h"

namespace fewbit::int8 {
namespace {

void interleave(const InterleaveArgs& a) {
  switch (a.lanes) {
    case 1:
      return interleave_width<Lanes512::Lane64, Lanes512::Masked16>(a);
    case 2:
      return interleave_width<Lanes512::Lane64, Lanes512::Masked32>(a);
    default:
      return interleave_width<Lanes512::Lane64, Lanes512::Lane64>(a);
  }
}

}  // namespace

const DepthwiseRow kDepthwiseAvx512Row = {.isa = Isa::kAvx512Vnni,
                                          .label = "avx512_vnni",
                                          .lanes = 4,
                                          .interleave = interleave,
                                          .tile = depthwise_tile<Lanes512>,
                                          .tile_sums = depthwise_sums<Lanes512>};

}  // namespace fewbit::int8

#endif
