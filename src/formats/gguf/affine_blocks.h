#pragma once
// q2_K, q4_K, q5_K: super-blocks of 256 weights; each sub-block has an integer scale and an integer
// minimum under two 16-bit floats.
//
//   w = d sc[j] q - dmin m[j]          j: the sub-block
//
//   q2_K  84 bytes   [sc, m 16] [qs 64] [ d ] [dmin]               16 sub-blocks of 16, q < 4
//     byte j of sc, m: | m[j] | sc[j] |                            four bits each
//     qs byte 32 h + i, h = 0, 1: | q[128 h + 96 + i] | .. 64 .. | .. 32 .. | q[128 h + i] |
//
//   q4_K  144 bytes  [ d ] [dmin] [sc, m 12] [qs 128]              8 sub-blocks of 32, q < 16
//   q5_K  176 bytes  [ d ] [dmin] [sc, m 12] [qh 32] [qs 128]      8 sub-blocks of 32, q < 32
//     sc, m bytes 0 - 3:   | high two bits of sc[j + 4] | sc[j] |  six bits each
//             bytes 4 - 7: | high two bits of m[j + 4]  | m[j] |
//             bytes 8 - 11:| low four bits of m[j + 4] | low four bits of sc[j + 4] |
//     qs byte 32 h + i, h = 0 .. 3: | q[64 h + 32 + i] | q[64 h + i] |   (low four bits)
//     qh byte i: bit 2 h is the fifth bit of q[64 h + i], bit 2 h + 1 of q[64 h + 32 + i]
//
// Error of a weight inside its sub-block's grid: at most d sc / 2, and dmin / 2 of the minimum's
// rounding. Source: ggml-org/llama.cpp, ggml/src/ggml-common.h (layout), ggml-quants.c (reference).

#include <bit>
#include <array>

#include "formats/gguf/codec.h"
#include "formats/gguf/reference_fit.h"
#include "formats/gguf/scale_search.h"

namespace fewbit::formats::gguf {
namespace {

struct Q2KBlock {
  uint8_t scales[kSuper / 16];
  uint8_t qs[kSuper / 4];
  Half d;
  Half dmin;
};
struct Q4KBlock {
  Half d;
  Half dmin;
  uint8_t scales[12];
  uint8_t qs[kSuper / 2];
};
struct Q5KBlock {
  Half d;
  Half dmin;
  uint8_t scales[12];
  uint8_t qh[kSuper / 8];
  uint8_t qs[kSuper / 2];
};
static_assert(sizeof(Q2KBlock) == 84 && sizeof(Q4KBlock) == 144 && sizeof(Q5KBlock) == 176);

/// A super-block taken apart.
template <int Subs>
struct AffineParts {
  uint8_t scales[Subs];
  uint8_t mins[Subs];
  uint8_t codes[kSuper];
};

struct Q2K {
  using Block = Q2KBlock;
  static constexpr int kSubElems = 16;
  static constexpr int kTop = 3;
  static constexpr int kScaleTop = 15;
  static constexpr ReferenceSteps kSteps = {-0.5F, 0.1F, 15, true};
  static constexpr std::array<float, 5> kCuts = {-0.3F, -0.05F, 0.15F, 0.35F, 0.55F};

  static void reference_weights(const Lanes* x, Lanes* w) {
    for (int i = 0; i < kSubElems; ++i) w[i] = magnitude(x[i]);
  }

  static void pack(const AffineParts<16>& parts, Block& out) {
    for (int j = 0; j < 16; ++j) {
      out.scales[j] = static_cast<uint8_t>(parts.scales[j] | parts.mins[j] << 4);
    }
    for (int i = 0; i < kSuper / 4; ++i) {
      const uint8_t* q = parts.codes + i / 32 * 128 + i % 32;
      out.qs[i] = static_cast<uint8_t>(q[0] | q[32] << 2 | q[64] << 4 | q[96] << 6);
    }
  }

  static void unpack(const Block& block, AffineParts<16>& out) {
    for (int j = 0; j < 16; ++j) {
      out.scales[j] = block.scales[j] & 0xf;
      out.mins[j] = block.scales[j] >> 4;
    }
    for (int i = 0; i < kSuper; ++i) {
      out.codes[i] = block.qs[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
    }
  }
};

template <typename BlockType, int Bits>
struct Q45K {
  using Block = BlockType;
  static constexpr int kSubElems = 32;
  static constexpr int kTop = (1 << Bits) - 1;
  static constexpr int kScaleTop = 63;
  static constexpr ReferenceSteps kSteps =
      Bits == 4 ? ReferenceSteps{-1.0F, 0.1F, 20, false} : ReferenceSteps{-0.5F, 0.1F, 15, false};
  static constexpr std::array<float, 4> kCuts = {-0.2F, 0.2F, 0.6F, 1.0F};

  static void reference_weights(const Lanes* x, Lanes* w) {
    Lanes squares = splat(0);
    for (int i = 0; i < kSubElems; ++i) squares += x[i] * x[i];
    const Lanes level = square_root(squares / static_cast<float>(kSubElems));
    for (int i = 0; i < kSubElems; ++i) w[i] = level + magnitude(x[i]);
  }

  static void pack(const AffineParts<8>& parts, Block& out) {
    for (int j = 0; j < 4; ++j) {
      const auto join = [](int low, int high) { return static_cast<uint8_t>(low | high); };
      out.scales[j] = join(parts.scales[j], parts.scales[j + 4] >> 4 << 6);
      out.scales[j + 4] = join(parts.mins[j], parts.mins[j + 4] >> 4 << 6);
      out.scales[j + 8] = join(parts.scales[j + 4] & 0xf, (parts.mins[j + 4] & 0xf) << 4);
    }
    for (int i = 0; i < kSuper / 2; ++i) {
      const uint8_t* q = parts.codes + i / 32 * 64 + i % 32;
      out.qs[i] = static_cast<uint8_t>((q[0] & 0xf) | (q[32] & 0xf) << 4);
    }
    if constexpr (Bits == 5) {
      for (int i = 0; i < 32; ++i) {
        int bits = 0;
        for (int run = 0; run < 8; ++run) bits |= (parts.codes[32 * run + i] >> 4) << run;
        out.qh[i] = static_cast<uint8_t>(bits);
      }
    }
  }

  static void unpack(const Block& block, AffineParts<8>& out) {
    for (int j = 0; j < 4; ++j) {
      const uint8_t low = block.scales[j];
      const uint8_t middle = block.scales[j + 4];
      const uint8_t high = block.scales[j + 8];
      out.scales[j] = low & 63;
      out.mins[j] = middle & 63;
      out.scales[j + 4] = static_cast<uint8_t>((high & 0xf) | low >> 6 << 4);
      out.mins[j + 4] = static_cast<uint8_t>(high >> 4 | middle >> 6 << 4);
    }
    for (int i = 0; i < kSuper; ++i) {
      out.codes[i] = block.qs[i / 64 * 32 + i % 32] >> i % 64 / 32 * 4 & 0xf;
    }
    if constexpr (Bits == 5) {
      for (int i = 0; i < kSuper; ++i) {
        out.codes[i] = static_cast<uint8_t>(out.codes[i] | (block.qh[i % 32] >> i / 32 & 1) << 4);
      }
    }
  }
};

/// The search of one super-block: sub-blocks first, each with its own best scale and base; then the
/// two float scales and all the integers under them in turn.
template <typename Layout>
class SuperSearch {
 public:
  static constexpr int kSub = Layout::kSubElems;
  static constexpr int kSubs = kSuper / kSub;
  static constexpr int kGroups = kSubs / kLanes;

  SuperSearch(const float* x, const float* w) {
    for (int g = 0; g < kGroups; ++g) {
      to_lanes<kSub>(x + g * kLanes * kSub, x_[g]);
      to_lanes<kSub>(w + g * kLanes * kSub, w_[g]);
      fits_[g] = AffineSearch<kSub>(x_[g], w_[g], Layout::kTop, true);
      fits_[g].run(Layout::kCuts, 2);
    }
  }
  SuperSearch(const SuperSearch&) = delete;

  void run(typename Layout::Block& out) {
    float largest_scale = 0;
    float largest_min = 0;
    for (int g = 0; g < kGroups; ++g) {
      for (int k = 0; k < kLanes; ++k) {
        largest_scale = std::max(largest_scale, fits_[g].scale()[k]);
        largest_min = std::max(largest_min, -fits_[g].base()[k]);
      }
    }
    Half d = Half::from_float(largest_scale / Layout::kScaleTop);
    Half dmin = Half::from_float(largest_min / Layout::kScaleTop);
    for (int round = 0; round < 3; ++round) {
      const float error = choose(d.to_float(), dmin.to_float(), round > 0);
      if (error < least_) {
        least_ = error;
        best_d_ = d;
        best_dmin_ = dmin;
        std::copy(&scale_[0], &scale_[0] + kGroups, best_scale_);
        std::copy(&min_[0], &min_[0] + kGroups, best_min_);
      }
      refit(d, dmin);
    }
    write(out);
  }

 private:
  // The integers of each sub-block that err least under d and dmin: the scale one of the three next
  // to the sub-block's own, the minimum the nearest for that scale and its codes. Returns the whole
  // error with these codes, before they follow the rounded minimum.
  float choose(float d, float dmin, bool exact) {
    float total = 0;
    const float over_d = d > 0 ? 1 / d : 0;
    const float over_dmin = dmin > 0 ? 1 / dmin : 0;
    for (int g = 0; g < kGroups; ++g) {
      const Lanes centre = nearest(smaller(fits_[g].scale() * over_d, splat(Layout::kScaleTop)));
      Lanes least = splat(__builtin_inff());
      for (const float step : {0.0F, -1.0F, 1.0F}) {
        const Lanes scale = clamp(centre + step, 0, Layout::kScaleTop);
        const auto rest = fits_[g].rest(d * scale);
        const Lanes best_base = rest.first / larger(fits_[g].sw(), splat(1e-30F));
        const Lanes min = nearest(clamp(-best_base * over_dmin, 0, Layout::kScaleTop));
        const Lanes base = -(dmin * min);
        const Lanes error = exact ? fits_[g].error(d * scale, base)
                                  : rest.square - base * (2.0F * rest.first - base * fits_[g].sw());
        const LaneMask better = error < least;
        least = pick(better, error, least);
        scale_[g] = pick(better, scale, scale_[g]);
        min_[g] = pick(better, min, min_[g]);
      }
      for (int k = 0; k < kLanes; ++k) total += least[k];
    }
    return total;
  }

  // d and dmin of least squares for the chosen integers and their codes: with a = sc q and b = m,
  // x ~ d a - dmin b.
  void refit(Half& d, Half& dmin) const {
    double saa = 0, sab = 0, sbb = 0, sxa = 0, sxb = 0;
    for (int g = 0; g < kGroups; ++g) {
      const auto sums = fits_[g].sums(d.to_float() * scale_[g], -(dmin.to_float() * min_[g]));
      for (int k = 0; k < kLanes; ++k) {
        const double a = scale_[g][k];
        const double b = min_[g][k];
        saa += a * a * static_cast<double>(sums.sqq[k]);
        sab += a * b * static_cast<double>(sums.sq[k]);
        sbb += b * b * static_cast<double>(fits_[g].sw()[k]);
        sxa += a * static_cast<double>(sums.sxq[k]);
        sxb += b * static_cast<double>(fits_[g].sx()[k]);
      }
    }
    const double determinant = saa * sbb - sab * sab;
    const bool both = determinant > 1e-9 * saa * sbb;
    const double new_d = both ? (sxa * sbb - sxb * sab) / determinant : saa > 0 ? sxa / saa : 0;
    const double new_dmin = both ? (sxa * sab - sxb * saa) / determinant : 0;
    d = Half::from_float(static_cast<float>(std::max(new_d, 0.0)));
    dmin = Half::from_float(static_cast<float>(std::max(new_dmin, 0.0)));
  }

  void write(typename Layout::Block& out) const {
    AffineParts<kSubs> parts;
    for (int g = 0; g < kGroups; ++g) {
      Lanes q[kSub];
      fits_[g].codes(best_d_.to_float() * best_scale_[g], -(best_dmin_.to_float() * best_min_[g]),
                     q);
      from_lanes<kSub>(q, 0, parts.codes + g * kLanes * kSub);
      for (int k = 0; k < kLanes; ++k) {
        parts.scales[g * kLanes + k] = static_cast<uint8_t>(best_scale_[g][k]);
        parts.mins[g * kLanes + k] = static_cast<uint8_t>(best_min_[g][k]);
      }
    }
    out.d = best_d_;
    out.dmin = best_dmin_;
    Layout::pack(parts, out);
  }

  Lanes x_[kGroups][kSub];
  Lanes w_[kGroups][kSub];
  AffineSearch<kSub> fits_[kGroups];
  Lanes scale_[kGroups] = {};
  Lanes min_[kGroups] = {};
  float least_ = __builtin_inff();
  Half best_d_;
  Half best_dmin_;
  Lanes best_scale_[kGroups] = {};
  Lanes best_min_[kGroups] = {};
};

template <typename Layout>
struct AffineSuper {
  using Block = typename Layout::Block;
  static constexpr int kElems = kSuper;
  static constexpr int kGroups = 2;  // side by side, in the reference
  static constexpr int kTogether = std::max(1, kGroups* kLanes* Layout::kSubElems / kSuper);
  static constexpr int kSub = Layout::kSubElems;
  static constexpr int kSubs = kSuper / kSub;
  static constexpr float kLargest = 65504.0F * Layout::kScaleTop * (Layout::kTop + 1);

  static void reference(const float* x, Block* out) {
    AffineParts<kSubs> parts[kTogether];
    float scales[kTogether * kSubs];
    float mins[kTogether * kSubs];
    uint8_t codes[kTogether * kSuper];
    for (int j = 0; j < kTogether * kSubs; j += kGroups * kLanes) {
      fit_subs(x + j * kSub, scales + j, mins + j, codes + j * kSub);
    }
    for (int b = 0; b < kTogether; ++b) {
      std::copy_n(codes + b * kSuper, kSuper, parts[b].codes);
      quantize_scales(scales + b * kSubs, mins + b * kSubs, parts[b], out[b]);
      snap(x + b * kSuper, parts[b], out[b]);
    }
  }

  static void search(const float* x, const float* w, Block* out) {
    for (int b = 0; b < kTogether; ++b) {
      SuperSearch<Layout>(x + b * kSuper, w + b * kSuper).run(out[b]);
    }
  }

  static void decode(const Block& block, float* out) {
    AffineParts<kSubs> parts;
    Layout::unpack(block, parts);
    const float d = block.d.to_float();
    const float dmin = block.dmin.to_float();
    for (int j = 0; j < kSubs; ++j) {
      const float scale = d * parts.scales[j];
      const float min = dmin * parts.mins[j];
      for (int i = j * kSub; i < (j + 1) * kSub; ++i) out[i] = scale * parts.codes[i] - min;
    }
  }

  static constexpr int kAffineBits = std::bit_width(static_cast<unsigned>(Layout::kTop));
  static constexpr int kAffineElems = kSub;
  static constexpr int kAffineZero = -1;
  static void affine(const Block& block, uint8_t* codes, float* scales, float* offsets) {
    AffineParts<kSubs> parts;
    Layout::unpack(block, parts);
    std::copy_n(parts.codes, kSuper, codes);
    for (int j = 0; j < kSubs; ++j) {
      scales[j] = block.d.to_float() * parts.scales[j];
      offsets[j] = -(block.dmin.to_float() * parts.mins[j]);
    }
  }

 private:
  static void quantize_scales(const float* scales, const float* mins, AffineParts<kSubs>& parts,
                              Block& out) {
    constexpr float kTop = Layout::kScaleTop;
    const float largest_scale = std::max(0.0F, *std::max_element(scales, scales + kSubs));
    const float largest_min = std::max(0.0F, *std::max_element(mins, mins + kSubs));
    const float over_scale = largest_scale > 0 ? kTop / largest_scale : 0;
    const float over_min = largest_min > 0 ? kTop / largest_min : 0;
    const auto code = [](float v) {
      return std::min<uint8_t>(static_cast<uint8_t>(nearest_low_bits(v)), Layout::kScaleTop);
    };
    for (int j = 0; j < kSubs; ++j) {
      parts.scales[j] = code(over_scale * scales[j]);
      parts.mins[j] = code(over_min * mins[j]);
    }
    out.d = Half::from_float(largest_scale / kTop);
    out.dmin = Half::from_float(largest_min / kTop);
  }

  // The codes nearest under the quantized scales. Where a scale became 0, those of the fit stay.
  static void snap(const float* x, AffineParts<kSubs>& parts, Block& out) {
    for (int j = 0; j < kSubs; ++j) {
      const float d = out.d.to_float() * parts.scales[j];
      if (d == 0) continue;
      const float min = out.dmin.to_float() * parts.mins[j];
      for (int i = j * kSub; i < (j + 1) * kSub; ++i) {
        const int q = nearest_low_bits((x[i] + min) / d);
        parts.codes[i] = static_cast<uint8_t>(std::clamp(q, 0, Layout::kTop));
      }
    }
    Layout::pack(parts, out);
  }

  // kGroups * kLanes sub-blocks.
  static void fit_subs(const float* x, float* scales, float* mins, uint8_t* codes) {
    Lanes xs[kGroups][kSub];
    Lanes ws[kGroups][kSub];
    ReferenceAffine fits[kGroups];
    for (int g = 0; g < kGroups; ++g) {
      to_lanes<kSub>(x + g * kLanes * kSub, xs[g]);
      Layout::reference_weights(xs[g], ws[g]);
    }
    ReferenceAffineFit<kSub, kGroups>(xs, ws, Layout::kTop).run(Layout::kSteps, fits);
    for (int g = 0; g < kGroups; ++g) {
      Lanes q[kSub];
      for (int i = 0; i < kSub; ++i) {
        q[i] =
            clamp(nearest_low_bits(fits[g].inverse * (xs[g][i] - fits[g].base)), 0, Layout::kTop);
      }
      from_lanes<kSub>(q, 0, codes + g * kLanes * kSub);
      for (int k = 0; k < kLanes; ++k) {
        scales[g * kLanes + k] = fits[g].scale[k];
        mins[g * kLanes + k] = fits[g].negative_min[k];
      }
    }
  }
};

}  // namespace
}  // namespace fewbit::formats::gguf
