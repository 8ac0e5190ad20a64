// The scalar row of the depthwise kernel: any processor.

#include "kernels/int8_depthwise/lanes_scalar.h"
// Policies first: the kernel header uses them.
#include "kernels/int8_depthwise/depthwise_kernel.h"

namespace fewbit::int8 {

const DepthwiseRow kDepthwiseScalarRow = {
    .isa = Isa::kScalar,
    .label = "scalar",
    .lanes = 1,
    .interleave = interleave_width<LanesScalar::Lane16, LanesScalar::Lane16>,
    .tile = depthwise_tile<LanesScalar>,
    .tile_sums = depthwise_sums<LanesScalar>};

}  // namespace fewbit::int8
