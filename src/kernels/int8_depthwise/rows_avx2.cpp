// The AVX2 row of the depthwise kernel.

#if defined(__x86_64__)

#include "kernels/int8_depthwise/depthwise_core.h"

#pragma GCC target("avx2,fma")

#include "kernels/int8_depthwise/lanes_avx2.h"
// Policies first: the kernel header uses them.
#include "kernels/int8_depthwise/depthwise_kernel.h"

namespace fewbit::int8 {
namespace {

void interleave(const InterleaveArgs& a) {
  a.lanes == 1 ? interleave_width<Lane32, Lane16>(a) : interleave_width<Lane32, Lane32>(a);
}

}  // namespace

const DepthwiseRow kDepthwiseAvx2Row = {.isa = Isa::kAvx2,
                                        .label = "avx2",
                                        .lanes = 2,
                                        .interleave = interleave,
                                        .tile = depthwise_tile<LanesAvx2>,
                                        .tile_sums = depthwise_sums<LanesAvx2>};

}  // namespace fewbit::int8

#endif
