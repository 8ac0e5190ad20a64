#pragma once
// Functions of one 8-bit code as tables of 256 bytes: requantization to another scale, and any
// elementwise function on 8-bit tensors. One permutation maps 64 codes with AVX512-VBMI.

#include <array>
#include <cstdint>

#include "base/dtype.h"
#include "kernels/pointwise/qarith/qarith.h"
#include "kernels/pointwise/unary_op.h"

namespace fewbit::pointwise {

/// Entry i is the result's bit pattern for the code with bit pattern i.
using Lut = std::array<uint8_t, 256>;

/// q' = quantize(dequantize(q)), both as quantize.h states them. Types kUint8 or kInt8.
Lut requantize_lut(DType from, QAffine from_affine, DType to, QAffine to_affine);

/// q' = quantize(float(f(dequantize(q)))), f evaluated in double.
Lut unary_lut(const Unary& f, DType from, QAffine from_affine, DType to, QAffine to_affine);

/// The table that applies `first`, then `second`.
Lut compose(const Lut& first, const Lut& second);

/// dst[i] = lut[src[i]]; dst may be src.
void map_bytes(const void* src, void* dst, int64_t n, const Lut& lut);

}  // namespace fewbit::pointwise
