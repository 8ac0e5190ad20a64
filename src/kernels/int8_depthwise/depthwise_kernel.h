#pragma once
// The depthwise kernel, written once over a policy D of L 16-byte lanes. An ISA file sets its
// target
// (#pragma GCC target), includes its policy, then this header. Unnamed namespace and no standard
// templates, as in tile_kernel.h.
//
// A policy has kLanes; types I (4 L int32), F (4 L float), H (8 L int16), B (16 L bytes); Narrow,
// the constants of requantization; and Lane16 / Lane32 / Lane64, byte vectors for interleaving.

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
  if (t.vectors == 3) depthwise_vectors<D, R, 3, S>(t, narrow);
  if (t.vectors == 2) depthwise_vectors<D, R, 2, S>(t, narrow);
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

/// Interleaves columns of a block as wide as a vector W, one by one through the phases. kWhole: all
/// channels exist. Everything lives in locals: the stores to the strip may alias the arguments.
template <class W, bool kWhole>
void interleave_columns(const InterleaveArgs& a) {
  const uint8_t *in0 = a.line[0], *in1 = a.line[1], *in2 = a.line[2], *in3 = a.line[3];
  const int64_t step0 = a.line_step[0], step1 = a.line_step[1], step2 = a.line_step[2],
                step3 = a.line_step[3];
  const int64_t quad_bytes = a.quad_bytes, phase_bytes = a.phase_bytes;
  const int64_t next_round = W::kBytes - a.phases * phase_bytes;
  const int channels = a.channels, phases = a.phases;
  const typename W::B flip = W::set(a.flip);
  const auto load = [&](const uint8_t* p) __attribute__((always_inline)) {
    return W::flip(kWhole ? W::load(p) : W::load_n(p, channels), flip);
  };
  uint8_t* dst = a.dst + a.first_phase * phase_bytes;
  int until_round = phases - a.first_phase;
  for (int64_t c = a.columns; c > 0; --c) {
    interleave_column<W>(load(in0), load(in1), load(in2), load(in3), dst, quad_bytes);
    in0 += step0;
    in1 += step1;
    in2 += step2;
    in3 += step3;
    dst += phase_bytes;
    if (--until_round == 0) {
      until_round = phases;
      dst += next_round;
    }
  }
}

/// Interleaves one phase of a narrower block of N::kBytes channels, as many columns at once as fill
/// a vector W: their slots are neighbours. Returns the columns done, a multiple of that number.
template <class W, class N, bool kWhole>
int64_t interleave_phase(const InterleaveArgs& a, const uint8_t* const* line, const int64_t* step,
                         uint8_t* dst, int64_t columns) {
  constexpr int kColumns = W::kBytes / N::kBytes;
  const uint8_t* in[4] = {line[0], line[1], line[2], line[3]};
  const int64_t by[4] = {step[0], step[1], step[2], step[3]};
  const int64_t quad_bytes = a.quad_bytes;
  const int channels = a.channels;
  const typename W::B flip = W::set(a.flip);
  int64_t c = 0;
  for (; c + kColumns <= columns; c += kColumns, dst += W::kBytes) {
    typename W::B r[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      r[i] = W::flip(W::template gather<N, kWhole>(in[i], by[i], channels), flip);
      in[i] += kColumns * by[i];
    }
    interleave_column<W>(r[0], r[1], r[2], r[3], dst, quad_bytes);
  }
  return c;
}

template <class W, class N, bool kWhole>
void interleave_narrow(const InterleaveArgs& a) {
  for (int i = 0; i < a.phases && i < a.columns; ++i) {
    const int position = a.first_phase + i;
    const uint8_t* line[4];
    int64_t step[4];
    for (int j = 0; j < 4; ++j) {
      line[j] = a.line[j] + i * a.line_step[j];
      step[j] = a.phases * a.line_step[j];
    }
    uint8_t* dst = a.dst + position % a.phases * a.phase_bytes +
                   position / a.phases * static_cast<int64_t>(N::kBytes);
    const int64_t columns = (a.columns - i + a.phases - 1) / a.phases;
    const int64_t done = interleave_phase<W, N, kWhole>(a, line, step, dst, columns);
    for (int j = 0; j < 4; ++j) line[j] += done * step[j];
    interleave_phase<N, N, kWhole>(a, line, step, dst + done * N::kBytes, columns - done);
  }
}

template <class W, class N>
void interleave_width(const InterleaveArgs& a) {
  const bool whole = a.channels == N::kBytes;
  if constexpr (W::kBytes == N::kBytes) {
    whole ? interleave_columns<W, true>(a) : interleave_columns<W, false>(a);
  } else {
    whole ? interleave_narrow<W, N, true>(a) : interleave_narrow<W, N, false>(a);
  }
}

#undef FEWBIT_INLINE

}  // namespace
}  // namespace fewbit::int8
