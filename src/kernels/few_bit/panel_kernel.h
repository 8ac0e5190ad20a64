#pragma once
// The inner loop, written once over a vector policy V of sixteen 32-bit lanes (vec_*.h). Included
// by rows_*.cpp only, after the policy and under its target.
//
// Per chunk and plane: load a line, shift and mask it to four codes a lane, and multiply it with
// four activations of each row, broadcast from memory.

#include "kernels/few_bit/few_bit_core.h"

namespace fewbit::few_bit {
namespace {

// The codes of a line (4 k) of a chunk, gathered from the planes of `Bits`.
template <class V, int Bits>
struct Lines {
  // Line J of the chunk at p. (Lines of a plane are loaded once: the compiler sees to it.)
  template <int J>
  static inline __attribute__((always_inline)) typename V::W get(const uint8_t* p) {
    if constexpr (Bits == 8) {
      return V::load(p + J * 64);
    } else {
      typename V::W w = V::zero();
      int64_t at = 0;
      int shift = 0;
      if constexpr ((Bits & 4) != 0) {
        w = V::template field<(J % 2) * 4, 0x0f>(V::load(p + J / 2 * 64));
        at += 256;
        shift += 4;
      }
      if constexpr ((Bits & 2) != 0) {
        const auto part = V::template field<(J % 4) * 2, 0x03>(V::load(p + at + J / 4 * 64));
        w = shift == 0 ? part : V::merge(w, V::template left<4>(part));
        at += 128;
        shift += 2;
      }
      if constexpr ((Bits & 1) != 0) {
        constexpr int kShift = Bits - 1;
        w = V::merge(w, V::template left<kShift>(V::template field<J, 0x01>(V::load(p + at))));
      }
      return w;
    }
  }
};

template <class V, int Bits, int M, int P, int J, int End>
inline __attribute__((always_inline)) void multiply(const uint8_t* const (&p)[P],
                                                    const int8_t* const (&x)[M], int64_t k,
                                                    typename V::I (&sum)[P][M]) {
#pragma GCC unroll 4
  for (int s = 0; s < P; ++s) {
    const typename V::W w = Lines<V, Bits>::template get<J>(p[s]);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) sum[s][m] = V::template dp<Bits>(sum[s][m], w, x[m] + k + 4 * J);
  }
  if constexpr (J + 1 < End) multiply<V, Bits, M, P, J + 1, End>(p, x, k, sum);
}

// Adds a group's sums to the totals: total += scale * sum (+ offset * sum of q). `at`: bytes from p
// to the group's scales.
template <class V, int M, int P>
inline __attribute__((always_inline)) void finish_group(const uint8_t* const (&p)[P], int64_t at,
                                                        const Layout& layout, const Activations& x,
                                                        int64_t g, const typename V::I (&sum)[P][M],
                                                        typename V::F (&total)[P][M]) {
#pragma GCC unroll 4
  for (int s = 0; s < P; ++s) {
    const uint8_t* scales = p[s] + at;
    const typename V::F scale = layout.half_scales ? V::load_half(scales) : V::load_float(scales);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      total[s][m] = V::add_product(total[s][m], scale, V::to_float(sum[s][m]));
    }
    if (!layout.offsets) continue;
    const typename V::F offset = V::load_float(scales + layout.scale_bytes());
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      total[s][m] =
          V::add_product(total[s][m], offset, V::splat(x.group_sum[m * layout.groups + g]));
    }
  }
}

template <class V, int M, int P>
inline __attribute__((always_inline)) void start_group(const Activations& x, const Layout& layout,
                                                       int64_t g, typename V::I (&sum)[P][M]) {
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    const typename V::I start = V::set(x.start[m * layout.groups + g]);
#pragma GCC unroll 4
    for (int s = 0; s < P; ++s) sum[s][m] = start;
  }
}

// P panels, `stream_panels` apart, at the same time: as many streams from memory.
template <class V, int Bits, int M, int P>
void panel(const PanelJob& job, const uint8_t* first, int64_t stream_panels, float* y) {
  const Layout& layout = *job.layout;
  const Activations& a = job.x;
  const int8_t* x[M];
  for (int m = 0; m < M; ++m) x[m] = a.q + m * a.q_stride;
  const uint8_t* p[P];
  for (int s = 0; s < P; ++s) p[s] = first + s * stream_panels * layout.panel_bytes;
  typename V::F total[P][M];
  typename V::I sum[P][M];
  for (int s = 0; s < P; ++s) {
    for (int m = 0; m < M; ++m) total[s][m] = V::splat(0);
  }
  const int64_t chunk_bytes = layout.chunk_bytes();
  const int64_t step_bytes = layout.step_bytes();
  const int64_t vector_bytes = layout.scale_bytes() + (layout.offsets ? kPanelRows * 4 : 0);
  int64_t k = 0;
  const auto advance = [&](int64_t bytes) {
#pragma GCC unroll 4
    for (int s = 0; s < P; ++s) {
      p[s] += bytes;
      V::prefetch(p[s] + job.prefetch_bytes, bytes);
    }
  };
  if (layout.chunks_per_group == 0) {
    for (int64_t g = 0; g < layout.groups; g += 2, k += kChunk) {
      start_group<V, M, P>(a, layout, g, sum);
      multiply<V, Bits, M, P, 0, 4>(p, x, k, sum);
      finish_group<V, M, P>(p, chunk_bytes, layout, a, g, sum, total);
      // A row may end with the first half of a chunk.
      if (g + 1 == layout.groups) break;
      start_group<V, M, P>(a, layout, g + 1, sum);
      multiply<V, Bits, M, P, 4, 8>(p, x, k, sum);
      finish_group<V, M, P>(p, chunk_bytes + vector_bytes, layout, a, g + 1, sum, total);
      advance(step_bytes);
    }
  } else {
    for (int64_t g = 0; g < layout.groups; ++g) {
      start_group<V, M, P>(a, layout, g, sum);
      for (int64_t c = 0; c < layout.chunks_per_group; ++c, k += kChunk) {
        multiply<V, Bits, M, P, 0, 8>(p, x, k, sum);
        advance(chunk_bytes);
      }
      finish_group<V, M, P>(p, 0, layout, a, g, sum, total);
      advance(vector_bytes);
    }
  }
  for (int s = 0; s < P; ++s) {
    for (int m = 0; m < M; ++m) {
      V::store(y + m * job.y_stride + s * stream_panels * kPanelRows,
               V::scale(total[s][m], a.scale[m]));
    }
  }
}

template <class V, int Bits, int M>
void panels(const PanelJob& job) {
  const int64_t panel_bytes = job.layout->panel_bytes;
  int64_t done = 0;
  if constexpr (M == 1) {
    constexpr int kStreams = 4;
    const int64_t stream_panels = job.streams > 1 ? job.panel_count / kStreams : 0;
    for (int64_t i = 0; i < stream_panels; ++i) {
      panel<V, Bits, 1, kStreams>(job, job.panels + i * panel_bytes, stream_panels,
                                  job.y + i * kPanelRows);
    }
    done = stream_panels * kStreams;
  }
  for (int64_t i = done; i < job.panel_count; ++i) {
    panel<V, Bits, M, 1>(job, job.panels + i * panel_bytes, 0, job.y + i * kPanelRows);
  }
}

template <class V, int Bits>
void run_bits(const PanelJob& job) {
  switch (job.rows) {
    case 1:
      return panels<V, Bits, 1>(job);
    case 2:
      return panels<V, Bits, 2>(job);
    case 3:
      return panels<V, Bits, 3>(job);
    case 4:
      return panels<V, Bits, 4>(job);
    case 5:
      return panels<V, Bits, 5>(job);
    case 6:
      return panels<V, Bits, 6>(job);
    case 7:
      return panels<V, Bits, 7>(job);
    default:
      return panels<V, Bits, 8>(job);
  }
}

template <class V>
void run_panels(const PanelJob& job) {
  switch (job.layout->bits) {
    case 1:
      return run_bits<V, 1>(job);
    case 2:
      return run_bits<V, 2>(job);
    case 3:
      return run_bits<V, 3>(job);
    case 4:
      return run_bits<V, 4>(job);
    case 5:
      return run_bits<V, 5>(job);
    case 6:
      return run_bits<V, 6>(job);
    case 7:
      return run_bits<V, 7>(job);
    default:
      return run_bits<V, 8>(job);
  }
}

}  // namespace
}  // namespace fewbit::few_bit
