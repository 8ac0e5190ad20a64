#pragma once
// q4_0, q4_1, q5_0, q5_1, q8_0: blocks of 32 weights under one or two 16-bit scales.
//
//             bytes   0  1   2  3   4  5  6  7   ...
//   q4_0  18         [ d ]  [qs 16 .............]         w = d (q - 8)
//   q4_1  20         [ d ]  [ m ]  [qs 16 ......]         w = d q + m
//   q5_0  22         [ d ]  [qh 4 ......]  [qs 16 ..]     w = d (q - 16)
//   q5_1  24         [ d ]  [ m ]  [qh 4 ....]  [qs 16]   w = d q + m
//   q8_0  34         [ d ]  [q 32, signed ......]         w = d q
//
//   qs byte j:  | low four bits of q[j + 16] | low four bits of q[j] |
//   qh          32 bits, little-endian: bit j is the fifth bit of q[j]
//
// d and m are IEEE 754 binary16. Error of a weight inside the grid: at most |d| / 2 plus the
// rounding of d (and m). The grid covers the block: |d| = largest magnitude / 8, / 16 or / 127, or
// the block's range / 15 or / 31; the search may cut off a little of it where that lowers the whole
// error.
//
// Source: ggml-org/llama.cpp, ggml/src/ggml-common.h (layout), ggml-quants.c (reference
// quantizers).

#include <array>

#include "formats/gguf/codec.h"
#include "formats/gguf/scale_search.h"

namespace fewbit::formats::gguf {
namespace {

struct Q4_0Block {
  Half d;
  uint8_t qs[kBlock / 2];
};
struct Q4_1Block {
  Half d;
  Half m;
  uint8_t qs[kBlock / 2];
};
struct Q5_0Block {
  Half d;
  uint8_t qh[kBlock / 8];
  uint8_t qs[kBlock / 2];
};
struct Q5_1Block {
  Half d;
  Half m;
  uint8_t qh[kBlock / 8];
  uint8_t qs[kBlock / 2];
};
struct Q8_0Block {
  Half d;
  int8_t q[kBlock];
};
static_assert(sizeof(Q4_0Block) == 18 && sizeof(Q4_1Block) == 20 && sizeof(Q5_0Block) == 22 &&
              sizeof(Q5_1Block) == 24 && sizeof(Q8_0Block) == 34);

template <typename Block>
void store_codes(const uint8_t* codes, Block& out) {
  for (int j = 0; j < kBlock / 2; ++j) {
    out.qs[j] = static_cast<uint8_t>((codes[j] & 0xf) | (codes[j + kBlock / 2] & 0xf) << 4);
  }
  if constexpr (requires { out.qh; }) {
    for (int byte = 0; byte < kBlock / 8; ++byte) {
      uint32_t bits = 0;
      for (int b = 0; b < 8; ++b) {
        bits |= static_cast<uint32_t>(codes[byte * 8 + b] >> 4 & 1) << b;
      }
      out.qh[byte] = static_cast<uint8_t>(bits);
    }
  }
}

template <typename Block>
void load_codes(const Block& block, uint8_t* codes) {
  for (int j = 0; j < kBlock / 2; ++j) {
    codes[j] = block.qs[j] & 0xf;
    codes[j + kBlock / 2] = block.qs[j] >> 4;
  }
  if constexpr (requires { block.qh; }) {
    for (int j = 0; j < kBlock; ++j) {
      codes[j] = static_cast<uint8_t>(codes[j] | (block.qh[j / 8] >> j % 8 & 1) << 4);
    }
  }
}

// `value` cut to an integer in [0, top]; 0 if it is no number or far outside, as happens only where
// the scale is too small for its inverse to be finite.
uint8_t truncated_code(float value, int top) {
  if (!(value > -128.0F && value < 128.0F)) return 0;
  return static_cast<uint8_t>(std::clamp(static_cast<int>(value), 0, top));
}

float first_extreme(const float* x) {
  float largest = 0;
  float extreme = 0;
  for (int i = 0; i < kBlock; ++i) {
    if (std::fabs(x[i]) > largest) {
      largest = std::fabs(x[i]);
      extreme = x[i];
    }
  }
  return extreme;
}

/// w = d (q - 2^(bits-1))
template <typename BlockType, int Bits>
struct Symmetric {
  using Block = BlockType;
  static constexpr int kElems = kBlock;
  static constexpr int kTogether = kLanes;
  static constexpr int kZero = 1 << (Bits - 1);
  static constexpr float kLargest = 65504.0F * kZero;
  static constexpr auto kPositions =
      both_ends<9>(kZero, {-0.45F, -0.2F, 0.0F, 0.2F, 0.4F, -0.75F, -1.0F, -1.35F, -1.7F});

  static void reference(const float* x, Block* out) {
    for (int k = 0; k < kLanes; ++k) reference_one(x + k * kBlock, out[k]);
  }

  static void reference_one(const float* x, Block& out) {
    const float d = first_extreme(x) / -kZero;
    const float inverse = d != 0 ? 1.0F / d : 0.0F;
    uint8_t codes[kBlock];
    for (int i = 0; i < kBlock; ++i) {
      codes[i] = truncated_code(x[i] * inverse + (kZero + 0.5F), 2 * kZero - 1);
    }
    out.d = Half::from_float(d);
    store_codes(codes, out);
  }

  static void search(const float* x, const float* w, Block* out) {
    Lanes xs[kBlock];
    Lanes ws[kBlock];
    to_lanes<kBlock>(x, xs);
    to_lanes<kBlock>(w, ws);
    ScaleSearch<kBlock, UniformGrid> search(xs, ws, {-kZero, kZero - 1});
    search.run(kPositions, 2);
    const Lanes d = search.half_scale();
    Lanes q[kBlock];
    search.codes(d, q);
    uint8_t codes[kLanes * kBlock];
    from_lanes<kBlock>(q, kZero, codes);
    for (int k = 0; k < kLanes; ++k) {
      out[k].d = Half::from_float(d[k]);
      store_codes(codes + k * kBlock, out[k]);
    }
  }

  static void decode(const Block& block, float* out) {
    const float d = block.d.to_float();
    uint8_t codes[kBlock];
    load_codes(block, codes);
    for (int i = 0; i < kBlock; ++i) out[i] = static_cast<float>(codes[i] - kZero) * d;
  }

  static constexpr int kAffineBits = Bits;
  static constexpr int kAffineElems = kBlock;
  static constexpr int kAffineZero = kZero;
  static void affine(const Block& block, uint8_t* codes, float* scales, float* offsets) {
    load_codes(block, codes);
    scales[0] = block.d.to_float();
    offsets[0] = -kZero * scales[0];
  }
};

/// w = d q + m
template <typename BlockType, int Bits>
struct Affine {
  using Block = BlockType;
  static constexpr int kElems = kBlock;
  static constexpr int kTogether = kLanes;
  static constexpr int kTop = (1 << Bits) - 1;
  static constexpr float kLargest = 65504.0F * (kTop + 1);
  static constexpr std::array<float, 5> kCuts = {-0.3F, 0.05F, 0.4F, 0.75F, 1.1F};

  static void reference(const float* x, Block* out) {
    for (int k = 0; k < kLanes; ++k) reference_one(x + k * kBlock, out[k]);
  }

  static void reference_one(const float* x, Block& out) {
    const float low = *std::min_element(x, x + kBlock);
    const float high = *std::max_element(x, x + kBlock);
    const float d = (high - low) / kTop;
    const float inverse = d != 0 ? 1.0F / d : 0.0F;
    uint8_t codes[kBlock];
    for (int i = 0; i < kBlock; ++i) codes[i] = truncated_code((x[i] - low) * inverse + 0.5F, kTop);
    out.d = Half::from_float(d);
    out.m = Half::from_float(low);
    store_codes(codes, out);
  }

  // The block is moved by its mean, so that the sums do not cancel where it is narrow and far from
  // 0.
  static void search(const float* x, const float* w, Block* out) {
    Lanes xs[kBlock];
    Lanes ws[kBlock];
    to_lanes<kBlock>(x, xs);
    to_lanes<kBlock>(w, ws);
    Lanes sw = splat(1e-30F);
    Lanes sx = splat(0);
    for (int i = 0; i < kBlock; ++i) {
      sw += ws[i];
      sx += ws[i] * xs[i];
    }
    const Lanes mean = sx / sw;
    Lanes centred[kBlock];
    for (int i = 0; i < kBlock; ++i) centred[i] = xs[i] - mean;
    AffineSearch<kBlock> search(centred, ws, kTop, false);
    search.run(kCuts, 2);
    write(search, mean, xs, out);
  }

  static void decode(const Block& block, float* out) {
    const float d = block.d.to_float();
    const float m = block.m.to_float();
    uint8_t codes[kBlock];
    load_codes(block, codes);
    for (int i = 0; i < kBlock; ++i) out[i] = static_cast<float>(codes[i]) * d + m;
  }

  static constexpr int kAffineBits = Bits;
  static constexpr int kAffineElems = kBlock;
  static constexpr int kAffineZero = -1;
  static void affine(const Block& block, uint8_t* codes, float* scales, float* offsets) {
    load_codes(block, codes);
    scales[0] = block.d.to_float();
    offsets[0] = block.m.to_float();
  }

 private:
  // Rounds the scale to 16 bits both ways, then the base that suits each best.
  static void write(const AffineSearch<kBlock>& search, Lanes mean, const Lanes* xs, Block* out) {
    Lanes d = splat(0);
    Lanes m = splat(0);
    Lanes least = splat(__builtin_inff());
    for (const int step : {0, -1, 1}) {
      const Lanes scale = half_near(search.scale(), step);
      const Lanes base = half_near(search.base_for(scale) + mean);
      const Lanes e = search.error(scale, base - mean);
      const LaneMask better = e < least;
      least = pick(better, e, least);
      d = pick(better, scale, d);
      m = pick(better, base, m);
    }
    Lanes q[kBlock];
    const Lanes inverse = inverse_or_zero(d);
    for (int i = 0; i < kBlock; ++i) q[i] = clamp(nearest((xs[i] - m) * inverse), 0, kTop);
    uint8_t codes[kLanes * kBlock];
    from_lanes<kBlock>(q, 0, codes);
    for (int k = 0; k < kLanes; ++k) {
      out[k].d = Half::from_float(d[k]);
      out[k].m = Half::from_float(m[k]);
      store_codes(codes + k * kBlock, out[k]);
    }
  }
};

/// w = d q. -128 is never written: products of signed bytes in pairs could overflow.
struct Q8_0 {
  using Block = Q8_0Block;
  static constexpr int kElems = kBlock;
  static constexpr int kTogether = kLanes;
  static constexpr int kTop = 127;
  static constexpr float kLargest = 65504.0F * kTop;
  static constexpr auto kPositions = [] {
    std::array<float, 24> positions{};
    for (int i = 0; i < 24; ++i) positions[static_cast<size_t>(i)] = 127.45F - 0.25F * i;
    return positions;
  }();

  static void reference(const float* x, Block* out) {
    for (int k = 0; k < kLanes; ++k) reference_one(x + k * kBlock, out[k]);
  }

  static void reference_one(const float* x, Block& out) {
    const float d = std::fabs(first_extreme(x)) / kTop;
    const float inverse = d != 0 ? 1.0F / d : 0.0F;
    for (int i = 0; i < kBlock; ++i) {
      const float q = x[i] * inverse;  // ties away from zero
      out.q[i] = std::fabs(q) < 128 ? static_cast<int8_t>(std::round(q)) : int8_t{0};
    }
    out.d = Half::from_float(d);
  }

  static void search(const float* x, const float* w, Block* out) {
    Lanes xs[kBlock];
    Lanes ws[kBlock];
    to_lanes<kBlock>(x, xs);
    to_lanes<kBlock>(w, ws);
    ScaleSearch<kBlock, UniformGrid> search(xs, ws, {-kTop, kTop});
    search.run(kPositions, 1);
    const Lanes d = magnitude(search.half_scale());
    Lanes q[kBlock];
    search.codes(d, q);
    for (int k = 0; k < kLanes; ++k) {
      out[k].d = Half::from_float(d[k]);
      for (int i = 0; i < kBlock; ++i) out[k].q[i] = static_cast<int8_t>(q[i][k]);
    }
  }

  static void decode(const Block& block, float* out) {
    const float d = block.d.to_float();
    for (int i = 0; i < kBlock; ++i) out[i] = static_cast<float>(block.q[i]) * d;
  }

  static constexpr int kAffineBits = 8;
  static constexpr int kAffineElems = kBlock;
  static constexpr int kAffineZero = 128;
  static void affine(const Block& block, uint8_t* codes, float* scales, float* offsets) {
    for (int i = 0; i < kBlock; ++i) codes[i] = static_cast<uint8_t>(block.q[i] + kAffineZero);
    scales[0] = block.d.to_float();
    offsets[0] = -kAffineZero * scales[0];
  }
};

}  // namespace
}  // namespace fewbit::formats::gguf
