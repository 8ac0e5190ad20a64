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
FEWBIT_INLINE void depthwise_vectors(const DepthwiseTile& t, const typename D::Narrow& narrow) {
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

/// A whole row, four vectors at a time.
template <class D, int R, int S>
void depthwise_row(const DepthwiseTile& row) {
  const typename D::Narrow narrow(*row.stage);
  DepthwiseTile t = row;
  const auto advance = [&](int vectors) __attribute__((always_inline)) {
    t.strip += vectors * kLaneBytes * D::kLanes;
    t.out[0] += vectors * t.out_step;
    t.out[1] += vectors * t.out_step;
    t.vectors -= vectors;
  };
  for (; t.vectors >= 4; advance(4)) depthwise_vectors<D, R, 4, S>(t, narrow);
  if (t.vectors >= 2) {
    depthwise_vectors<D, R, 2, S>(t, narrow);
    advance(2);
  }
  if (t.vectors == 1) depthwise_vectors<D, R, 1, S>(t, narrow);
}

/// A kernel three columns wide in one row group has three steps: the 3x3 of the MobileNets.
template <class D>
void depthwise_tile(const DepthwiseTile& t) {
  if (t.steps == 3) {
    t.rows == 1 ? depthwise_row<D, 1, 3>(t) : depthwise_row<D, 2, 3>(t);
  } else {
    t.rows == 1 ? depthwise_row<D, 1, 0>(t) : depthwise_row<D, 2, 0>(t);
  }
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

/// Four lines of one column, interleaved into the four quads of the strip.
template <class W>
FEWBIT_INLINE void interleave_column(typename W::B r0, typename W::B r1, typename W::B r2,
                                     typename W::B r3, uint8_t* dst, int64_t quad_bytes) {
  const typename W::B lo01 = W::lo8(r0, r1), hi01 = W::hi8(r0, r1);
  const typename W::B lo23 = W::lo8(r2, r3), hi23 = W::hi8(r2, r3);
  W::store(dst, W::lo16(lo01, lo23));
  W::store(dst + quad_bytes, W::hi16(lo01, lo23));
  W::store(dst + 2 * quad_bytes, W::lo16(hi01, hi23));
  W::store(dst + 3 * quad_bytes, W::hi16(hi01, hi23));
}

/// Interleaves columns of a block of N::kBytes channels, as many columns at once as fill a vector W:
/// their slots are neighbours. kWhole: all channels exist. Everything lives in locals: the stores to
/// the strip may alias the arguments.
template <class W, class N, bool kWhole>
void interleave_columns(const InterleaveArgs& a) {
  constexpr int kColumns = W::kBytes / N::kBytes;
  const uint8_t* in[4] = {a.line[0], a.line[1], a.line[2], a.line[3]};
  const int64_t step[4] = {a.line_step[0], a.line_step[1], a.line_step[2], a.line_step[3]};
  const int64_t quad_bytes = a.quad_bytes;
  const int channels = a.channels;
  const typename W::B flip = W::set(a.flip);
  const typename N::B narrow_flip = N::set(a.flip);
  uint8_t* dst = a.dst;
  int64_t c = a.columns;
  for (; c >= kColumns; c -= kColumns, dst += W::kBytes) {
    typename W::B r[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      r[i] = W::flip(W::template gather<N, kWhole>(in[i], step[i], channels), flip);
      in[i] += kColumns * step[i];
    }
    interleave_column<W>(r[0], r[1], r[2], r[3], dst, quad_bytes);
  }
  for (; c > 0; --c, dst += N::kBytes) {
    typename N::B r[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      r[i] = N::flip(kWhole ? N::load(in[i]) : N::load_n(in[i], channels), narrow_flip);
      in[i] += step[i];
    }
    interleave_column<N>(r[0], r[1], r[2], r[3], dst, quad_bytes);
  }
}

template <class W, class N>
void interleave_width(const InterleaveArgs& a) {
  a.channels == N::kBytes ? interleave_columns<W, N, true>(a) : interleave_columns<W, N, false>(a);
}

#undef FEWBIT_INLINE

}  // namespace
}  // namespace fewbit::int8
