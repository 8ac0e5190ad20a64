#pragma once
// iq4_nl, iq4_xs: 4-bit codes that name one of 16 levels, denser near zero as weights are.
//
//   levels  -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113
//
//   iq4_nl  18 bytes   [ d ] [qs 16]                             32 weights, w = d level[q]
//   iq4_xs  136 bytes  [ d ] [scales_h 2] [scales_l 4] [qs 128]  256 weights in 8 sub-blocks of 32,
//                                                                w = d (sc[j] - 32) level[q]
//     qs byte 16 j + i:   | q[32 j + 16 + i] | q[32 j + i] |
//     scales_l byte j:    | low four bits of sc[2 j + 1] | low four bits of sc[2 j] |
//     scales_h            16 bits, little-endian: bits 2 j, 2 j + 1 are the high two bits of sc[j]
//
// Error of a weight between the outer levels: at most half of the gap it lies in, |scale| * 12 at
// the ends and |scale| * 5.5 around zero. Source: ggml-org/llama.cpp, ggml/src/ggml-common.h
// (layout, levels), ggml-quants.c (reference quantizers).

#include <array>

#include "formats/gguf/codec.h"
#include "formats/gguf/reference_fit.h"
#include "formats/gguf/super_scale_search.h"

namespace fewbit::formats::gguf {
namespace {

constexpr int kLevelSubs = kSuper / kBlock;

constexpr std::array<int8_t, 16> kLevels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                            1,    13,   25,  38,  53,  69,  89,  113};
constexpr float kLowest = kLevels.front();

struct Iq4NlBlock {
  Half d;
  uint8_t qs[kBlock / 2];
};
struct Iq4XsBlock {
  Half d;
  uint8_t scales_h[2];
  uint8_t scales_l[kLevelSubs / 2];
  uint8_t qs[kSuper / 2];
};
static_assert(sizeof(Iq4NlBlock) == 18 && sizeof(Iq4XsBlock) == 136);

// The code of the level nearest to a value, the upper one halfway. The boundaries between levels
// are multiples of 1/2, so twice the value, rounded down, says all.
constexpr int level_code(int twice) {
  int code = 0;
  while (code < 15 &&
         twice >= kLevels[static_cast<size_t>(code)] + kLevels[static_cast<size_t>(code) + 1]) {
    ++code;
  }
  return code;
}

// The nearest level itself.
struct LevelGrid {
  static constexpr int kHalves = 512;  ///< twice the value lies in [-256, 255]

#if defined(FEWBIT_GGUF_AVX2)
  // No table in memory (gathers are slow on many processors): of 32 intervals of 16 halves each,
  // none holds more than one boundary. A byte per interval says the code below its boundary and
  // where that is; two permutations turn codes into levels. (Interval 0 is not used: it lies below
  // the lowest boundary, as the first values of interval 1 do.)
  struct alignas(32) Intervals {
    uint8_t bytes[2][32];  ///< [half of the intervals][one for each 16-byte lane]
  };
  static constexpr Intervals kIntervals = [] {
    Intervals table{};
    for (int n = 1; n < 32; ++n) {
      const int first = 16 * n - kHalves / 2;
      int boundary = 0;  // of the last code; 0 where the interval holds no other
      while (boundary < 15 && level_code(first + boundary) != level_code(first + 15)) ++boundary;
      const int below = level_code(first + 15) - 1;
      for (int lane = 0; lane < 2; ++lane) {
        table.bytes[n / 16][16 * lane + n % 16] = static_cast<uint8_t>(below | boundary << 4);
      }
    }
    return table;
  }();

  Lanes operator()(Lanes v) const {
    const Lanes twice = clamp(v + v, 16 - kHalves / 2, kHalves / 2 - 1);
    const LaneMask at = (LaneMask)_mm256_cvtps_epi32(_mm256_floor_ps(twice)) + kHalves / 2;
    const LaneMask interval = at >> 4;
    // Bit 7 of an index byte makes its result 0: set in all but the lowest byte, and there outside
    // of the half.
    const LaneMask upper = LaneMask{} + static_cast<int>(0x80808000);
    const auto* table = reinterpret_cast<const __m256i*>(kIntervals.bytes);
    const LaneMask byte =
        (LaneMask)_mm256_shuffle_epi8(table[0], (__m256i)((interval + 0x70) | upper)) |
        (LaneMask)_mm256_shuffle_epi8(table[1], (__m256i)((interval - 16) | upper));
    const LaneMask reached = (byte >> 4) <= (at & 15);  // true is -1
    const LaneMask code = (byte & 15) - reached;
    const Lanes low = Lanes{-127, -104, -83, -65, -49, -35, -22, -10};
    const Lanes high = Lanes{1, 13, 25, 38, 53, 69, 89, 113};
    return pick(code > 7, (Lanes)_mm256_permutevar8x32_ps(high, (__m256i)code),
                (Lanes)_mm256_permutevar8x32_ps(low, (__m256i)code));
  }
#else
  static constexpr std::array<float, kHalves> kTable = [] {
    std::array<float, kHalves> table{};
    for (int i = 0; i < kHalves; ++i) {
      table[static_cast<size_t>(i)] = kLevels[static_cast<size_t>(level_code(i - kHalves / 2))];
    }
    return table;
  }();

  Lanes operator()(Lanes v) const {
    constexpr int kMiddle = kHalves / 2;
    const Lanes twice = clamp(v + v, -kMiddle, kMiddle - 1);
    const LaneMask cut = __builtin_convertvector(twice, LaneMask);
    const LaneMask floor = cut + (__builtin_convertvector(cut, Lanes) > twice);  // true is -1
    Lanes level = twice;
    for (int k = 0; k < kLanes; ++k) {
      level[k] = kTable[static_cast<size_t>(int64_t{floor[k]} + kMiddle)];
    }
    return level;
  }
#endif

  /// The code of each level, by the level + 127.
  static constexpr std::array<uint8_t, 256> kCodes = [] {
    std::array<uint8_t, 256> codes{};
    for (size_t code = 0; code < 16; ++code) {
      codes[static_cast<size_t>(kLevels[code] + 127)] = static_cast<uint8_t>(code);
    }
    return codes;
  }();
};

// Levels plus 127 -> codes, two to a byte.
void pack_codes(const uint8_t* levels, uint8_t* out) {
  for (int j = 0; j < kBlock / 2; ++j) {
    out[j] = static_cast<uint8_t>(LevelGrid::kCodes[levels[j]] |
                                  LevelGrid::kCodes[levels[j + kBlock / 2]] << 4);
  }
}

void unpack_codes(const uint8_t* qs, uint8_t* codes) {
  for (int j = 0; j < kBlock / 2; ++j) {
    codes[j] = qs[j] & 0xf;
    codes[j + kBlock / 2] = qs[j] >> 4;
  }
}

void decode_codes(const uint8_t* qs, float scale, float* out) {
  for (int j = 0; j < kBlock / 2; ++j) {
    out[j] = scale * kLevels[qs[j] & 0xf];
    out[j + kBlock / 2] = scale * kLevels[qs[j] >> 4];
  }
}

// Where the extreme value is put when a scale is sought: near either end of the levels.
constexpr std::array<float, 12> kLevelPositions = {-127, -119, -112, -135, -143, -152,
                                                   113,  106,  100,  120,  127,  135};

// What ggml takes as the scale of kLanes groups of 32: weights x^2, the extreme value put at -127,
// and at 127, then at -134 .. -120, each fitted; the fit that explains most.
Lanes reference_level_scale(const Lanes* x) {
  const Lanes extreme = first_extreme<kBlock>(x);
  const LaneMask zero = magnitude(extreme) < kReferenceZero;
  const Lanes divisor = pick(zero, splat(1), extreme);
  Lanes scale = splat(0);
  Lanes best_gain = splat(0);
  constexpr int kTries = 7;
  for (int k = -kTries - 1; k <= kTries; ++k) {
    const bool first = k < -kTries;
    const Lanes inverse =
        first ? 1.0F / (-divisor / kLowest) : (static_cast<float>(k) + kLowest) / divisor;
    Lanes sxq = splat(0);
    Lanes sqq = splat(0);
    for (int i = 0; i < kBlock; ++i) {
      const Lanes q = LevelGrid()(inverse * x[i]);
      const Lanes wq = x[i] * x[i] * q;
      sxq += wq * x[i];
      sqq += wq * q;
    }
    const LaneMask fits = sqq > 0;
    const Lanes fitted = pick(fits, sxq / pick(fits, sqq, splat(1)), splat(0));
    const LaneMask better =
        first ? LaneMask(sqq == sqq) : LaneMask(fits & (sxq * sxq > best_gain * sqq));
    scale = pick(better, fitted, scale);
    best_gain = pick(better, fitted * sxq, best_gain);
  }
  return pick(zero, splat(0), scale);
}

// The levels nearest to x / scale, as ggml rounds them, plus 127.
void reference_levels(const Lanes* x, Lanes scale, uint8_t* out) {
  const Lanes inverse = inverse_or_zero(scale);
  Lanes q[kBlock];
  for (int i = 0; i < kBlock; ++i) q[i] = LevelGrid()(inverse * x[i]);
  from_lanes<kBlock>(q, 127, out);
}

struct Iq4Nl {
  using Block = Iq4NlBlock;
  static constexpr int kElems = kBlock;
  static constexpr int kTogether = kLanes;
  static constexpr float kLargest = 65504.0F * 128;

  static void reference(const float* x, Block* out) {
    Lanes xs[kBlock];
    to_lanes<kBlock>(x, xs);
    const Lanes scale = reference_level_scale(xs);
    uint8_t levels[kLanes * kBlock];
    reference_levels(xs, scale, levels);
    write(scale, levels, out);
  }

  static void search(const float* x, const float* w, Block* out) {
    Lanes xs[kBlock];
    Lanes ws[kBlock];
    to_lanes<kBlock>(x, xs);
    to_lanes<kBlock>(w, ws);
    ScaleSearch<kBlock, LevelGrid> search(xs, ws, {});
    search.run(kLevelPositions, 2);
    const Lanes scale = search.half_scale();
    Lanes q[kBlock];
    search.codes(scale, q);
    uint8_t levels[kLanes * kBlock];
    from_lanes<kBlock>(q, 127, levels);
    write(scale, levels, out);
  }

  static void decode(const Block& block, float* out) {
    decode_codes(block.qs, block.d.to_float(), out);
  }

  static constexpr int kAffineBits = 4;
  static constexpr int kAffineElems = kElems;
  static constexpr int kAffineZero = 0;
  static constexpr const std::array<int8_t, 16>& kCodeLevels = kLevels;
  static void affine(const Block& block, uint8_t* codes, float* scales, float* offsets) {
    unpack_codes(block.qs, codes);
    scales[0] = block.d.to_float();
    offsets[0] = 0;
  }

 private:
  static void write(Lanes scale, const uint8_t* levels, Block* out) {
    for (int k = 0; k < kLanes; ++k) {
      out[k].d = Half::from_float(scale[k]);
      pack_codes(levels + k * kBlock, out[k].qs);
    }
  }
};

struct Iq4Xs {
  using Block = Iq4XsBlock;
  static constexpr int kElems = kSuper;
  static constexpr int kTogether = 1;
  static constexpr int kScaleZero = 32;
  static constexpr float kLargest = 65504.0F * 128 * kScaleZero;

  static void reference(const float* x, Block* out) {
    Lanes xs[kLevelSubs / kLanes][kBlock];
    Lanes fitted[kLevelSubs / kLanes];
    float extreme = 0;
    for (int g = 0; g < kLevelSubs / kLanes; ++g) {
      to_lanes<kBlock>(x + g * kLanes * kBlock, xs[g]);
      fitted[g] = reference_level_scale(xs[g]);
      for (int k = 0; k < kLanes; ++k) {
        if (std::fabs(fitted[g][k]) > std::fabs(extreme)) extreme = fitted[g][k];
      }
    }
    const float d = -extreme / kScaleZero;
    const float over_d = d != 0 ? 1 / d : 0;
    uint8_t scales[kLevelSubs];
    uint8_t levels[kSuper];
    for (int g = 0; g < kLevelSubs / kLanes; ++g) {
      const Lanes s = clamp(nearest_low_bits(over_d * fitted[g]), -kScaleZero, kScaleZero - 1);
      for (int k = 0; k < kLanes; ++k) {
        scales[g * kLanes + k] = static_cast<uint8_t>(static_cast<int>(s[k]) + kScaleZero);
      }
      reference_levels(xs[g], d * s, levels + g * kLanes * kBlock);
    }
    out->d = Half::from_float(d);
    pack(scales, levels, *out);
  }

  static void search(const float* x, const float* w, Block* out) {
    SuperScaleSearch<kBlock, kLevelSubs, LevelGrid> search(x, w, {}, kLevelPositions, -kScaleZero);
    search.run(2, 1);
    uint8_t scales[kLevelSubs];
    uint8_t levels[kSuper];
    search.scales(kScaleZero, scales);
    search.codes(127, levels);
    out->d = search.d();
    pack(scales, levels, *out);
  }

  static void decode(const Block& block, float* out) {
    for (int j = 0; j < kLevelSubs; ++j) {
      decode_codes(block.qs + j * kBlock / 2, scale(block, j), out + j * kBlock);
    }
  }

  static constexpr int kAffineBits = 4;
  static constexpr int kAffineElems = kBlock;
  static constexpr int kAffineZero = 0;
  static constexpr const std::array<int8_t, 16>& kCodeLevels = kLevels;
  static void affine(const Block& block, uint8_t* codes, float* scales, float* offsets) {
    for (int j = 0; j < kLevelSubs; ++j) {
      unpack_codes(block.qs + j * kBlock / 2, codes + j * kBlock);
      scales[j] = scale(block, j);
      offsets[j] = 0;
    }
  }

 private:
  // Of the j-th group of 32.
  static float scale(const Block& block, int j) {
    const int low = block.scales_l[j / 2] >> j % 2 * 4 & 0xf;
    const int high = block.scales_h[j / 4] >> j % 4 * 2 & 3;
    return block.d.to_float() * static_cast<float>((low | high << 4) - kScaleZero);
  }

  // scales plus 32, levels plus 127
  static void pack(const uint8_t* scales, const uint8_t* levels, Block& out) {
    for (int j = 0; j < kLevelSubs / 2; ++j) {
      out.scales_l[j] =
          static_cast<uint8_t>((scales[2 * j] & 0xf) | (scales[2 * j + 1] & 0xf) << 4);
    }
    for (int byte = 0; byte < 2; ++byte) {
      int bits = 0;
      for (int j = 0; j < 4; ++j) bits |= scales[4 * byte + j] >> 4 << 2 * j;
      out.scales_h[byte] = static_cast<uint8_t>(bits);
    }
    for (int j = 0; j < kLevelSubs; ++j) pack_codes(levels + j * kBlock, out.qs + j * kBlock / 2);
  }
};

}  // namespace
}  // namespace fewbit::formats::gguf
