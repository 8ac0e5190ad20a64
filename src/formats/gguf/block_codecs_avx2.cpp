// The block formats for AVX2: vectors of eight floats. Without FMA: no product is contracted with a
// sum, so the bits are those of every other processor.

#include "formats/gguf/block_codec.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "numerics/half.h"

#pragma GCC target("avx2")

#define FEWBIT_GGUF_LANES 8
#if !defined( \
    __clang__)  // it does not know the pragma: there the same code is compiled without AVX2
#define FEWBIT_GGUF_AVX2
#endif
#include "formats/gguf/all_codecs.h"

namespace fewbit::formats::gguf {

std::span<const BlockCodec> block_codecs_avx2() {
  return kAllCodecs;
}

}  // namespace fewbit::formats::gguf

#else

namespace fewbit::formats::gguf {

std::span<const BlockCodec> block_codecs_avx2() {
  return {};
}

}  // namespace fewbit::formats::gguf

#endif
