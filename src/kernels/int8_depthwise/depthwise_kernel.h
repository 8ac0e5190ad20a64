#pragma once
// The depthwise kernel, written once over a policy D of L 16-byte lanes. An ISA file sets its target
// (#pragma GCC target), includes its policy, then this header. Unnamed namespace and no standard
// templates, as in tile_kernel.h.
//
// A policy has kLanes; types I (4 L int32), F (4 L float), H (8 L int16), B (16 L bytes); Narrow, the
// constants of requantization; and Lane16 / Lane32 / Lane64, byte vectors for interleaving.

#include <cstdint>

#include "kernels/int8_depthwise/depthwise_core.h"

namespace fewbit::int8 {
namespace {

#define FEWBIT_INLINE inline __attribute__((always_inline))

/// Sums of one quad: R rows, T vectors. S > 0 fixes the number of steps.
template <class D, int R, int T, int S>
struct QuadSums {
  typename D::I sum[R][T];

  FEWBIT_INLINE void compute(const DepthwiseTile& t, int quad) {
    const typename D::I init = D::load_i(t.init + quad * 4 * D::kLanes);
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < T; ++v) sum[r][v] = init;
    }
    constexpr int64_t kVector = kLaneBytes * D::kLanes;
    const int64_t step_bytes = t.packed_rows * kVector;
    const uint8_t* in = t.strip + quad * t.quad_bytes;
    const int steps = S > 0 ? S : t.steps;
    const int8_t* w = t.weights + quad * steps * step_bytes;
    if constexpr (S > 0) {
#pragma GCC unroll 4
      for (int s = 0; s < S; ++s) step(in + t.step_offset[s], w + s * step_bytes);
    } else {
      for (int s = 0; s < steps; ++s) step(in + t.step_offset[s], w + s * step_bytes);
    }
  }

  FEWBIT_INLINE void step(const uint8_t* in, const int8_t* w) {
    constexpr int64_t kVector = kLaneBytes * D::kLanes;
    typename D::B weight[R];
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) weight[r] = D::load_b(w + r * kVector);
#pragma GCC unroll 4
    for (int v = 0; v < T; ++v) {
      const typename D::B x = D::load_b(in + v * kVector);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) sum[r][v] = D::dp(sum[r][v], x, weight[r]);
    }
  }
};

/// Two quads, requantized and packed to int16.
template <class D, int R, int T, int S>
struct HalfTile {
  typename D::H half[R][T];

  FEWBIT_INLINE void compute(const DepthwiseTile& t, int quad, const typename D::Narrow& narrow) {
    const bool may_overflow = t.stage->may_overflow;
    QuadSums<D, R, T, S> q[2];
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      q[j].compute(t, quad + j);
      const typename D::F scale = D::load_f(t.scale + (quad + j) * 4 * D::kLanes);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < T; ++v) {
          q[j].sum[r][v] = D::scaled(q[j].sum[r][v], scale, may_overflow);
        }
      }
    }
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < T; ++v) half[r][v] = narrow.to_16(q[0].sum[r][v], q[1].sum[r][v]);
    }
  }
};

template <class D, int R, int T, int S>
void depthwise_bytes(const DepthwiseTile& t) {
  const typename D::Narrow narrow(*t.stage);
  HalfTile<D, R, T, S> low, high;
  low.compute(t, 0, narrow);
  high.compute(t, 2, narrow);
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < T; ++v) {
      D::store_b(t.out[r] + v * t.out_step, narrow.to_8(low.half[r][v], high.half[r][v]));
    }
  }
}

template <class D, int S>
void depthwise_tile(const DepthwiseTile& t) {
  using Fn = void (*)(const DepthwiseTile&);
  static constexpr Fn kTiles[2][4] = {
      {depthwise_bytes<D, 1, 1, S>, depthwise_bytes<D, 1, 2, S>, depthwise_bytes<D, 1, 3, S>,
       depthwise_bytes<D, 1, 4, S>},
      {depthwise_bytes<D, 2, 1, S>, depthwise_bytes<D, 2, 2, S>, depthwise_bytes<D, 2, 3, S>,
       depthwise_bytes<D, 2, 4, S>}};
  kTiles[t.rows - 1][t.vectors - 1](t);
}

/// A kernel three columns wide in one row group has three steps: the 3x3 of the MobileNets.
template <class D>
void depthwise_tile_any(const DepthwiseTile& t) {
  t.steps == 3 ? depthwise_tile<D, 3>(t) : depthwise_tile<D, 0>(t);
}

template <class D, int R>
FEWBIT_INLINE void depthwise_sums_rows(const DepthwiseTile& t) {
  constexpr int kInts = 4 * D::kLanes;
  DepthwiseTile one = t;
  for (int v = 0; v < t.vectors; ++v, one.strip += kLaneBytes * D::kLanes) {
    for (int quad = 0; quad < 4; ++quad) {
      QuadSums<D, R, 1, 0> q;
      q.compute(one, quad);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) {
        D::store_i(t.acc + ((r * t.vectors + v) * 4 + quad) * kInts, q.sum[r][0]);
      }
    }
  }
}

template <class D>
void depthwise_sums(const DepthwiseTile& t) {
  t.rows == 1 ? depthwise_sums_rows<D, 1>(t) : depthwise_sums_rows<D, 2>(t);
}

/// Interleaves columns of one lane type W (16, 32 or 64 bytes); kWhole: all its channels exist.
template <class W, bool kWhole>
void interleave_columns(const InterleaveArgs& a) {
  const uint8_t* in[4] = {a.line[0], a.line[1], a.line[2], a.line[3]};
  const typename W::B flip = W::set(a.flip);
  uint8_t* dst = a.dst + a.first_phase * a.phase_bytes;
  int phase = a.first_phase;
  for (int64_t c = 0; c < a.columns; ++c) {
    typename W::B row[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      row[i] = W::flip(kWhole ? W::load(in[i]) : W::load_n(in[i], a.channels), flip);
      in[i] += a.line_step[i];
    }
    const typename W::B lo01 = W::lo8(row[0], row[1]), hi01 = W::hi8(row[0], row[1]);
    const typename W::B lo23 = W::lo8(row[2], row[3]), hi23 = W::hi8(row[2], row[3]);
    W::store(dst, W::lo16(lo01, lo23));
    W::store(dst + a.quad_bytes, W::hi16(lo01, lo23));
    W::store(dst + 2 * a.quad_bytes, W::lo16(hi01, hi23));
    W::store(dst + 3 * a.quad_bytes, W::hi16(hi01, hi23));
    dst += a.phase_bytes;
    if (++phase == a.stride) {
      phase = 0;
      dst += W::kBytes - a.stride * a.phase_bytes;
    }
  }
}

template <class W>
void interleave_width(const InterleaveArgs& a) {
  a.channels == W::kBytes ? interleave_columns<W, true>(a) : interleave_columns<W, false>(a);
}

#undef FEWBIT_INLINE

}  // namespace
}  // namespace fewbit::int8
