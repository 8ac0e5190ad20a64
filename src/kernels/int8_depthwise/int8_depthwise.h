#pragma once
// 8-bit depthwise convolution on channels-last activations: groups == in_channels == out_channels.
// Contract, layouts and output stage are those of int8_conv.h; weights are [channels, 1, kh, kw].
//
// How it works. VPDPBUSD multiplies four bytes of one channel with four weights and adds them up,
// so the four bytes must lie together. The kernel walks a few output rows at a time and first
// writes the input rows they need into a strip in the first-level cache, four rows interleaved byte
// by byte:
//
//   strip[quad j][row group g][column phase][column][lane l] = 16 bytes:
//       channel 16 l + 4 j + {0,1,2,3}  x  rows 4 g + {0,1,2,3}
//
// (byte and word unpacks inside 128-bit lanes; padding is already filled in). With strides the
// columns are split by phase, so that neighbouring outputs read neighbouring bytes. A 3x3 tap
// column then is one VPDPBUSD for 16 channels; two output rows share the interleaved rows with
// weights shifted by one: (w0 w1 w2 0) and (0 w0 w1 w2). The packs that narrow int32 to bytes undo
// the interleaving of the quads, so no permutation is needed anywhere.

#include <optional>
#include <span>

#include "kernels/int8_conv/int8_conv.h"

namespace fewbit {

/// True if `spec` is a depthwise convolution with one output per channel.
bool is_depthwise(const Int8ConvSpec& spec);

/// As Int8Conv::prepare; `spec` must satisfy is_depthwise.
Result<std::shared_ptr<const Int8ConvKernel>> prepare_int8_depthwise(
    const Int8ConvSpec& spec, const void* weights, std::span<const int32_t> bias,
    std::optional<Isa> isa = std::nullopt);

}  // namespace fewbit
