#pragma once
// Many rows of int8 activations: weights are expanded to bytes, a few panels and kBlockDepth k at a
// time, which stay in the second-level cache while all rows pass (few_bit.h says what that rounds).

#include <vector>

#include "kernels/few_bit/few_bit_core.h"

namespace fewbit::few_bit {

/// So many rows of these weights go through run_blocks.
bool takes_blocks(const Layout& layout, int64_t m);

/// call's strides are set; bias is filled up to whole panels.
void run_blocks(const Row& row, const Panels& panels, const std::vector<float>& bias,
                const FewBitCall& call, int threads);

}  // namespace fewbit::few_bit
