#pragma once
// The definition of int8_conv.h as the plainest code there is: what the kernels are tested against.
// Never optimised.

#include <span>

#include "kernels/int8_conv/int8_conv_spec.h"

namespace fewbit {

void int8_conv_reference(const Int8ConvSpec& spec, const Int8ConvShape& shape, const void* weights,
                         std::span<const int32_t> bias, const void* input, const void* residual,
                         void* output);

}  // namespace fewbit
