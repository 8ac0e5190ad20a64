// The AVX-VNNI row of the depthwise kernel.

#if defined(__x86_64__)

#include "kernels/int8_depthwise/depthwise_core.h"

#pragma GCC target("avx2,fma,avxvnni")
#define FEWBIT_TARGET_AVX_VNNI

#include "kernels/int8_depthwise/lanes_avx2.h"
// Policies first: the kernel header uses them.
#include "kernels/int8_depthwise/depthwise_kernel.h"

namespace fewbit::int8 {
namespace {

void interleave(const InterleaveArgs& a) {
  a.lanes == 1 ? interleave_width<Lane32, Lane16>(a) : interleave_width<Lane32, Lane32>(a);
}

}  // namespace

const DepthwiseRow kDepthwiseAvxVnniRow = {.isa = Isa::kAvxVnni,
                                           .label = "avx_vnni",
                                           .lanes = 2,
                                           .interleave = interleave,
                                           .tile = depthwise_tile<LanesAvxVnni>,
                                           .tile_sums = depthwise_sums<LanesAvxVnni>};

}  // namespace fewbit::int8

#endif
