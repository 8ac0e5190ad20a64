#pragma once
// Dense and grouped convolutions as matrix products (internal; Int8Conv::prepare chooses).

#include <memory>
#include <span>

#include "kernels/int8_conv/int8_conv.h"
#include "kernels/int8_gemm/int8_core.h"

namespace fewbit::int8 {

/// `spec` is valid, `bias` empty or of the right size. `row` may be an emulated one (tests).
std::shared_ptr<const Int8ConvKernel> make_product_conv(const Int8ConvSpec& spec,
                                                        const void* weights,
                                                        std::span<const int32_t> bias,
                                                        const Row& row);

}  // namespace fewbit::int8
