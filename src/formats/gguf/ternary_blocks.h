#pragma once
// tq1_0, tq2_0: -1, 0 or 1 times one 16-bit float per 256 weights.
//
//   tq1_0  54 bytes  [qs 48] [qh 4] [ d ]     w = d (t - 1), t in {0, 1, 2}
//     A byte holds t0 .. t4 as the fraction 0.t0 t1 t2 t3 t4 in base 3, rounded up to 1/256:
//     byte = ceil((81 t0 + 27 t1 + 9 t2 + 3 t3 + t4) 256 / 243); the digit n is
//     ((byte 3^n mod 256) 3) >> 8.
//     qs byte m < 32:   weights m, 32 + m, 64 + m, 96 + m, 128 + m
//     qs byte 32 + m:   weights 160 + m, 176 + m, 192 + m, 208 + m, 224 + m      m < 16
//     qh byte m:        weights 240 + m, 244 + m, 248 + m, 252 + m; t4 = 0       m < 4
//
//   tq2_0  66 bytes  [qs 64] [ d ]            w = d (q - 1); q = 3, never written, gives 2 d
//     qs byte 32 h + m, h = 0, 1: | q[128 h + 96 + m] | .. 64 .. | .. 32 .. | q[128 h + m] |
//
// Error of a weight within 3 d / 2: at most d / 2. Weights that are ternary already, times one
// number, keep it to its rounding. Source: ggml-org/llama.cpp, ggml/src/ggml-common.h (layout),
// ggml-quants.c (reference quantizers: d = largest magnitude).

#include <array>

#include "formats/gguf/codec.h"
#include "formats/gguf/scale_search.h"

namespace fewbit::formats::gguf {
namespace {

struct Tq1Block {
  uint8_t qs[48];
  uint8_t qh[4];
  Half d;
};
struct Tq2Block {
  uint8_t qs[kSuper / 4];
  Half d;
};
static_assert(sizeof(Tq1Block) == 54 && sizeof(Tq2Block) == 66);

/// Where the bytes of tq1_0 take their weights from: byte m of a run, digit n: first + n * count +
/// m.
struct TritRun {
  int first;   ///< weight
  int count;   ///< bytes, and the distance between the weights of a byte
  int digits;  ///< weights in a byte
};
constexpr std::array<TritRun, 3> kTritRuns = {{{0, 32, 5}, {160, 16, 5}, {240, 4, 4}}};

struct Tq1 {
  using Block = Tq1Block;

  static uint8_t* bytes(Block& block, int run) {
    return run == 0 ? block.qs : run == 1 ? block.qs + 32 : block.qh;
  }

  static void pack(const uint8_t* trits, Block& out) {
    for (int r = 0; r < 3; ++r) {
      const TritRun run = kTritRuns[static_cast<size_t>(r)];
      for (int m = 0; m < run.count; ++m) {
        int number = 0;
        for (int n = 0; n < 5; ++n) {
          number = 3 * number + (n < run.digits ? trits[run.first + n * run.count + m] : 0);
        }
        bytes(out, r)[m] = static_cast<uint8_t>((number * 256 + 242) / 243);
      }
    }
  }

  static void unpack(Block block, uint8_t* trits) {
    for (int r = 0; r < 3; ++r) {
      const TritRun run = kTritRuns[static_cast<size_t>(r)];
      for (int m = 0; m < run.count; ++m) {
        unsigned fraction = bytes(block, r)[m];
        for (int n = 0; n < run.digits; ++n) {
          trits[run.first + n * run.count + m] = static_cast<uint8_t>(fraction * 3 >> 8);
          fraction = fraction * 3 & 0xff;
        }
      }
    }
  }
};

struct Tq2 {
  using Block = Tq2Block;

  static void pack(const uint8_t* trits, Block& out) {
    for (int i = 0; i < kSuper / 4; ++i) {
      const uint8_t* q = trits + i / 32 * 128 + i % 32;
      out.qs[i] = static_cast<uint8_t>(q[0] | q[32] << 2 | q[64] << 4 | q[96] << 6);
    }
  }

  static void unpack(const Block& block, uint8_t* trits) {
    for (int i = 0; i < kSuper; ++i) {
      trits[i] = block.qs[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
    }
  }
};

template <typename Layout>
struct Ternary {
  using Block = typename Layout::Block;
  static constexpr int kElems = kSuper;
  static constexpr int kTogether = kLanes;
  static constexpr float kLargest = 65504.0F;
  // The scale is 1 / position of the largest magnitude: the weights above half of it stay.
  static constexpr auto kPositions = [] {
    std::array<float, 20> positions{};
    float position = 0.6F;
    for (float& p : positions) {
      p = position;
      position *= 1.2F;
    }
    return positions;
  }();

  static void reference(const float* x, Block* out) {
    for (int k = 0; k < kLanes; ++k, x += kSuper) {
      float largest = 0;
      for (int i = 0; i < kSuper; ++i) largest = std::max(largest, std::fabs(x[i]));
      const float inverse = largest != 0 ? 1.0F / largest : 0.0F;
      uint8_t trits[kSuper];
      for (int i = 0; i < kSuper; ++i) {
        // Half away from zero. Where the inverse is infinite, the scale is 0: so is the code.
        const float v = x[i] * inverse;
        const bool finite = std::fabs(v) < 2;
        trits[i] = static_cast<uint8_t>(1 + (finite && v >= 0.5F) - (finite && v <= -0.5F));
      }
      out[k].d = Half::from_float(largest);
      Layout::pack(trits, out[k]);
    }
  }

  static void search(const float* x, const float* w, Block* out) {
    Lanes xs[kSuper];
    Lanes ws[kSuper];
    to_lanes<kSuper>(x, xs);
    to_lanes<kSuper>(w, ws);
    ScaleSearch<kSuper, UniformGrid> search(xs, ws, {-1, 1});
    search.run(kPositions, 4);
    const Lanes d = magnitude(search.half_scale());
    Lanes q[kSuper];
    search.codes(d, q);
    uint8_t trits[kLanes * kSuper];
    from_lanes<kSuper>(q, 1, trits);
    for (int k = 0; k < kLanes; ++k) {
      out[k].d = Half::from_float(d[k]);
      Layout::pack(trits + k * kSuper, out[k]);
    }
  }

  static void decode(const Block& block, float* out) {
    const float d = block.d.to_float();
    uint8_t trits[kSuper];
    Layout::unpack(block, trits);
    for (int i = 0; i < kSuper; ++i) out[i] = static_cast<float>(trits[i] - 1) * d;
  }

  static constexpr int kAffineBits = 2;
  static constexpr int kAffineElems = kSuper;
  static constexpr int kAffineZero = 1;
  static void affine(const Block& block, uint8_t* codes, float* scales, float* offsets) {
    Layout::unpack(block, codes);
    scales[0] = block.d.to_float();
    offsets[0] = -scales[0];
  }
};

}  // namespace
}  // namespace fewbit::formats::gguf
