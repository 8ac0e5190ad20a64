#pragma once
// All block formats, by type: what every file of one instruction set compiles.

#include <array>

#include "formats/gguf/affine_blocks.h"
#include "formats/gguf/level_blocks.h"
#include "formats/gguf/scaled_blocks.h"
#include "formats/gguf/simple_blocks.h"
#include "formats/gguf/ternary_blocks.h"

namespace fewbit::formats::gguf {
namespace {

constexpr std::array<BlockCodec, 14> kAllCodecs = {
    codec<Symmetric<Q4_0Block, 4>>(2, "q4_0", "GGUF: 32 x 4 bits, d (q - 8)"),
    codec<Affine<Q4_1Block, 4>>(3, "q4_1", "GGUF: 32 x 4 bits, d q + m"),
    codec<Symmetric<Q5_0Block, 5>>(6, "q5_0", "GGUF: 32 x 5 bits, d (q - 16)"),
    codec<Affine<Q5_1Block, 5>>(7, "q5_1", "GGUF: 32 x 5 bits, d q + m"),
    codec<Q8_0>(8, "q8_0", "GGUF: 32 x 8 bits, d q"),
    codec<AffineSuper<Q2K>>(10, "q2_K", "GGUF: 256 x 2 bits, 4-bit scales and minima per 16"),
    codec<ScaledSuper<Q3K>>(11, "q3_K", "GGUF: 256 x 3 bits, 6-bit scales per 16"),
    codec<AffineSuper<Q45K<Q4KBlock, 4>>>(12, "q4_K",
                                          "GGUF: 256 x 4 bits, 6-bit scales and minima per 32"),
    codec<AffineSuper<Q45K<Q5KBlock, 5>>>(13, "q5_K",
                                          "GGUF: 256 x 5 bits, 6-bit scales and minima per 32"),
    codec<ScaledSuper<Q6K>>(14, "q6_K", "GGUF: 256 x 6 bits, 8-bit scales per 16"),
    codec<Iq4Nl>(20, "iq4_nl", "GGUF: 32 x 4 bits, 16 levels denser near zero"),
    codec<Iq4Xs>(23, "iq4_xs", "GGUF: 256 x 4 bits, levels of iq4_nl, 6-bit scales per 32"),
    codec<Ternary<Tq1>>(34, "tq1_0", "GGUF: 256 ternary digits, five to a byte"),
    codec<Ternary<Tq2>>(35, "tq2_0", "GGUF: 256 ternary digits, four to a byte"),
};

}  // namespace
}  // namespace fewbit::formats::gguf
