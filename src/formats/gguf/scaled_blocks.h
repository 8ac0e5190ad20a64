#pragma once
// q3_K, q6_K: super-blocks of 256 weights in 16 sub-blocks of 16, each with an integer scale under
// one 16-bit float.
//
//   q3_K  110 bytes  [hmask 32] [qs 64] [scales 12] [ d ]      w = d (sc[j] - 32) (q - 4)
//     qs byte 32 h + i, h = 0, 1: | q[128 h + 96 + i] | .. 64 .. | .. 32 .. | q[128 h + i] |  low
//     two
//                                 bits of each; hmask byte i, bit r: the third bit of q[32 r + i]
//     scales byte j < 8:    | low four bits of sc[j + 8] | low four bits of sc[j] |
//            byte 8 + j:    | high two bits of sc[12 + j] | sc[8 + j] | sc[4 + j] | sc[j] |
//
//   q6_K  210 bytes  [ql 128] [qh 64] [sc 16, signed] [ d ]    w = d sc[j] (q - 32)
//     ql byte 64 h + i, i < 64:   | q[128 h + 64 + i] | q[128 h + i] |              low four bits
//     qh byte 32 h + i, i < 32:   | q[128 h + 96 + i] | .. 64 .. | .. 32 .. | q[128 h + i] |  high
//     two
//
// Error of a weight inside its sub-block's grid: at most |d sc| / 2. Source: ggml-org/llama.cpp,
// ggml/src/ggml-common.h (layout), ggml-quants.c (reference quantizers).

#include "formats/gguf/codec.h"
#include "formats/gguf/reference_fit.h"
#include "formats/gguf/super_scale_search.h"

namespace fewbit::formats::gguf {
namespace {

constexpr int kScaledSub = 16;
constexpr int kScaledSubs = kSuper / kScaledSub;

struct Q3KBlock {
  uint8_t hmask[kSuper / 8];
  uint8_t qs[kSuper / 4];
  uint8_t scales[12];
  Half d;
};
struct Q6KBlock {
  uint8_t ql[kSuper / 2];
  uint8_t qh[kSuper / 4];
  int8_t scales[kScaledSubs];
  Half d;
};
static_assert(sizeof(Q3KBlock) == 110 && sizeof(Q6KBlock) == 210);

/// A super-block taken apart: scales plus kScaleZero, codes plus kZero.
struct ScaledParts {
  uint8_t scales[kScaledSubs];
  uint8_t codes[kSuper];
};

struct Q3K {
  using Block = Q3KBlock;
  static constexpr int kZero = 4;
  static constexpr int kScaleZero = 32;
  static constexpr int kReach = 1;
  static constexpr auto kPositions =
      both_ends<7>(kZero, {-0.45F, -0.15F, 0.15F, 0.45F, -0.8F, -1.2F, -1.7F});

  static Lanes reference_fit(const Lanes* x, Lanes* q) {
    return reference_codes<kScaledSub>(x, kZero, q);
  }

  static bool is_zero(float extreme_scale) { return extreme_scale == 0; }

  // The codes of the fits stay; the scales are left at their code 0.
  static void pack_zero(ScaledParts& parts, Block& out) {
    std::fill(parts.scales, parts.scales + kScaledSubs, uint8_t{0});
    pack(parts, out);
  }

  static int reference_scale_code(float scale, float inverse) {
    return std::clamp(nearest_low_bits(inverse * scale), -kScaleZero, kScaleZero - 1);
  }

  static void pack(const ScaledParts& parts, Block& out) {
    for (int j = 0; j < 8; ++j) {
      out.scales[j] =
          static_cast<uint8_t>((parts.scales[j] & 0xf) | (parts.scales[j + 8] & 0xf) << 4);
    }
    for (int j = 0; j < 4; ++j) {
      const uint8_t* sc = parts.scales + j;
      out.scales[8 + j] =
          static_cast<uint8_t>(sc[0] >> 4 | sc[4] >> 4 << 2 | sc[8] >> 4 << 4 | sc[12] >> 4 << 6);
    }
    for (int i = 0; i < 32; ++i) {
      int bits = 0;
      for (int run = 0; run < 8; ++run) bits |= (parts.codes[32 * run + i] >> 2) << run;
      out.hmask[i] = static_cast<uint8_t>(bits);
    }
    for (int i = 0; i < kSuper / 4; ++i) {
      const uint8_t* q = parts.codes + i / 32 * 128 + i % 32;
      out.qs[i] =
          static_cast<uint8_t>((q[0] & 3) | (q[32] & 3) << 2 | (q[64] & 3) << 4 | (q[96] & 3) << 6);
    }
  }

  static void unpack(const Block& block, ScaledParts& out) {
    for (int j = 0; j < kScaledSubs; ++j) {
      const int low = block.scales[j % 8] >> j / 8 * 4 & 0xf;
      const int high = block.scales[8 + j % 4] >> j / 4 * 2 & 3;
      out.scales[j] = static_cast<uint8_t>(low | high << 4);
    }
    for (int i = 0; i < kSuper; ++i) {
      const int low = block.qs[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
      const int high = block.hmask[i % 32] >> i / 32 & 1;
      out.codes[i] = static_cast<uint8_t>(low | high << 2);
    }
  }
};

struct Q6K {
  using Block = Q6KBlock;
  static constexpr int kZero = 32;
  static constexpr int kScaleZero = 128;
  static constexpr int kReach = 2;
  static constexpr auto kPositions =
      both_ends<8>(kZero, {-0.45F, -0.2F, 0.1F, 0.4F, -0.8F, 0.8F, 1.3F, 1.9F});

  static Lanes reference_fit(const Lanes* x, Lanes* q) {
    const ReferenceScale fit = reference_scale<kScaledSub>(x, kZero);
    for (int i = 0; i < kScaledSub; ++i) {
      const Lanes code = clamp(nearest_low_bits(fit.inverse * x[i]), -kZero, kZero - 1);
      q[i] = pick(fit.inverse == 0, splat(-kZero), code);
    }
    return fit.scale;
  }

  static bool is_zero(float extreme_scale) { return std::fabs(extreme_scale) < kReferenceZero; }

  static void pack_zero(const ScaledParts&, Block& out) { out = {}; }

  static int reference_scale_code(float scale, float inverse) {
    return static_cast<int8_t>(std::min(nearest_low_bits(inverse * scale), kScaleZero - 1));
  }

  static void pack(const ScaledParts& parts, Block& out) {
    for (int j = 0; j < kScaledSubs; ++j) {
      out.scales[j] = static_cast<int8_t>(parts.scales[j] - kScaleZero);
    }
    for (int i = 0; i < kSuper / 2; ++i) {
      const uint8_t* q = parts.codes + i / 64 * 128 + i % 64;
      out.ql[i] = static_cast<uint8_t>((q[0] & 0xf) | (q[64] & 0xf) << 4);
    }
    for (int i = 0; i < kSuper / 4; ++i) {
      const uint8_t* q = parts.codes + i / 32 * 128 + i % 32;
      out.qh[i] =
          static_cast<uint8_t>(q[0] >> 4 | q[32] >> 4 << 2 | q[64] >> 4 << 4 | q[96] >> 4 << 6);
    }
  }

  static void unpack(const Block& block, ScaledParts& out) {
    for (int j = 0; j < kScaledSubs; ++j) {
      out.scales[j] = static_cast<uint8_t>(block.scales[j] + kScaleZero);
    }
    for (int i = 0; i < kSuper; ++i) {
      const int low = block.ql[i / 128 * 64 + i % 64] >> i % 128 / 64 * 4 & 0xf;
      const int high = block.qh[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
      out.codes[i] = static_cast<uint8_t>(low | high << 4);
    }
  }
};

template <typename Layout>
struct ScaledSuper {
  using Block = typename Layout::Block;
  static constexpr int kElems = kSuper;
  static constexpr int kTogether = 1;
  static constexpr float kLargest = 65504.0F * Layout::kScaleZero * Layout::kZero;

  static void reference(const float* x, Block* out) {
    ScaledParts parts;
    float scales[kScaledSubs];
    for (int j = 0; j < kScaledSubs; j += kLanes) {
      Lanes xs[kScaledSub];
      Lanes q[kScaledSub];
      to_lanes<kScaledSub>(x + j * kScaledSub, xs);
      const Lanes scale = Layout::reference_fit(xs, q);
      for (int k = 0; k < kLanes; ++k) scales[j + k] = scale[k];
      from_lanes<kScaledSub>(q, Layout::kZero, parts.codes + j * kScaledSub);
    }
    float extreme = 0;
    for (const float scale : scales) {
      if (std::fabs(scale) > std::fabs(extreme)) extreme = scale;
    }
    if (Layout::is_zero(extreme)) {
      Layout::pack_zero(parts, *out);
      return;
    }
    const float inverse = -Layout::kScaleZero / extreme;
    out->d = Half::from_float(1.0F / inverse);
    for (int j = 0; j < kScaledSubs; ++j) {
      const int code = Layout::reference_scale_code(scales[j], inverse);
      parts.scales[j] = static_cast<uint8_t>(code + Layout::kScaleZero);
      const float d = out->d.to_float() * static_cast<float>(code);
      if (d == 0) continue;  // the codes of the fit stay
      for (int i = j * kScaledSub; i < (j + 1) * kScaledSub; ++i) {
        const int q = std::clamp(nearest_low_bits(x[i] / d), -Layout::kZero, Layout::kZero - 1);
        parts.codes[i] = static_cast<uint8_t>(q + Layout::kZero);
      }
    }
    Layout::pack(parts, *out);
  }

  static void search(const float* x, const float* w, Block* out) {
    SuperScaleSearch<kScaledSub, kScaledSubs, UniformGrid> search(
        x, w, {-Layout::kZero, Layout::kZero - 1}, Layout::kPositions, -Layout::kScaleZero);
    search.run(3, Layout::kReach);
    ScaledParts parts;
    search.scales(Layout::kScaleZero, parts.scales);
    search.codes(Layout::kZero, parts.codes);
    out->d = search.d();
    Layout::pack(parts, *out);
  }

  static void decode(const Block& block, float* out) {
    ScaledParts parts;
    Layout::unpack(block, parts);
    const float d = block.d.to_float();
    for (int j = 0; j < kScaledSubs; ++j) {
      const float scale = d * static_cast<float>(parts.scales[j] - Layout::kScaleZero);
      for (int i = j * kScaledSub; i < (j + 1) * kScaledSub; ++i) {
        out[i] = scale * static_cast<float>(parts.codes[i] - Layout::kZero);
      }
    }
  }

  static constexpr int kAffineBits = std::bit_width(2U * Layout::kZero - 1);
  static constexpr int kAffineElems = kScaledSub;
  static constexpr int kAffineZero = Layout::kZero;
  static void affine(const Block& block, uint8_t* codes, float* scales, float* offsets) {
    ScaledParts parts;
    Layout::unpack(block, parts);
    std::copy_n(parts.codes, kSuper, codes);
    for (int j = 0; j < kScaledSubs; ++j) {
      scales[j] = block.d.to_float() * static_cast<float>(parts.scales[j] - Layout::kScaleZero);
      offsets[j] = -kAffineZero * scales[j];
    }
  }
};

}  // namespace
}  // namespace fewbit::formats::gguf
