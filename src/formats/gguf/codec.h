#pragma once
// From the struct of one block format to its BlockCodec. Such a struct has
//
//   Block                 the POD that is stored
//   kElems                weights in a block
//   kTogether             blocks that reference() and search() take: x, w [kTogether * kElems]
//   kLargest              no weight of a larger magnitude can be held
//   reference(x, blocks)  what ggml's reference quantizer gives, bit for bit
//   search(x, w, blocks)  least squared error weighted with w, from 0 to 1
//   decode(block, out)    out [kElems]: the floats that ggml gives, bit for bit
//
// and, where a weight is an affine function of its code or of the code's level, kAffineBits,
// kAffineElems, kAffineZero, kCodeLevels and affine(block, codes, scales, offsets), as BlockCodec
// describes them.

#include <cstring>

#include "formats/gguf/block_codec.h"
#include "formats/gguf/lanes.h"
#include "numerics/half.h"

namespace fewbit::formats::gguf {
namespace {

constexpr int kBlock = 32;   ///< weights under one scale in the simple formats
constexpr int kSuper = 256;  ///< weights in a super-block

inline bool is_finite(Half h) {
  return (h.bits & 0x7c00) != 0x7c00;
}

template <typename Block>
bool has_finite_scales(const Block& block) {
  bool finite = is_finite(block.d);
  if constexpr (requires { block.m; }) finite = finite && is_finite(block.m);
  if constexpr (requires { block.dmin; }) finite = finite && is_finite(block.dmin);
  return finite;
}

/// sum w (x - decoded)^2 in one fixed order.
template <typename Codec>
double weighted_error(const typename Codec::Block& block, const float* x, const float* w) {
  float decoded[Codec::kElems];
  Codec::decode(block, decoded);
  double sums[8] = {};
  for (int i = 0; i < Codec::kElems; i += 8) {
    for (int k = 0; k < 8; ++k) {
      const double error = static_cast<double>(x[i + k]) - static_cast<double>(decoded[i + k]);
      sums[k] += static_cast<double>(w[i + k]) * error * error;
    }
  }
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

template <typename Codec>
bool improves(const typename Codec::Block& found, const typename Codec::Block& reference,
              const float* x, const float* w) {
  if (!has_finite_scales(found)) return false;
  if (!has_finite_scales(reference)) return true;
  return weighted_error<Codec>(found, x, w) < weighted_error<Codec>(reference, x, w);
}

template <typename Codec>
void encode_blocks(const float* x, const float* w, bool search, uint8_t* blocks) {
  typename Codec::Block references[Codec::kTogether] = {};
  Codec::reference(x, references);
  if (search) {
    typename Codec::Block found[Codec::kTogether] = {};
    Codec::search(x, w, found);
    for (int b = 0; b < Codec::kTogether; ++b) {
      const int at = b * Codec::kElems;
      if (improves<Codec>(found[b], references[b], x + at, w + at)) references[b] = found[b];
    }
  }
  std::memcpy(blocks, references, sizeof(references));
}

template <typename Codec>
void decode_block(const uint8_t* bytes, float* out) {
  typename Codec::Block block;
  std::memcpy(&block, bytes, sizeof(block));
  Codec::decode(block, out);
}

template <typename Codec>
void affine_block(const uint8_t* bytes, uint8_t* codes, float* scales, float* offsets) {
  typename Codec::Block block;
  std::memcpy(&block, bytes, sizeof(block));
  Codec::affine(block, codes, scales, offsets);
}

template <typename Codec>
bool block_is_finite(const uint8_t* bytes) {
  typename Codec::Block block;
  std::memcpy(&block, bytes, sizeof(block));
  return has_finite_scales(block);
}

template <typename Codec>
constexpr BlockCodec codec(int type, std::string_view name, std::string_view summary) {
  BlockCodec c = {.type = type,
                  .name = name,
                  .summary = summary,
                  .elems = Codec::kElems,
                  .block_bytes = sizeof(typename Codec::Block),
                  .together = Codec::kTogether,
                  .largest = Codec::kLargest,
                  .encode = encode_blocks<Codec>,
                  .decode = decode_block<Codec>,
                  .affine = nullptr,
                  .affine_bits = 0,
                  .affine_elems = 0,
                  .affine_zero = -1,
                  .levels = nullptr,
                  .is_finite = block_is_finite<Codec>};
  if constexpr (requires { Codec::kAffineBits; }) {
    c.affine = affine_block<Codec>;
    c.affine_bits = Codec::kAffineBits;
    c.affine_elems = Codec::kAffineElems;
    c.affine_zero = Codec::kAffineZero;
    if constexpr (requires { Codec::kCodeLevels; }) c.levels = Codec::kCodeLevels.data();
  }
  return c;
}

}  // namespace
}  // namespace fewbit::formats::gguf
