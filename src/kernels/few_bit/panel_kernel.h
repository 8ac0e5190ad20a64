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

template <class V, int Bits, int M, int J, int End>
inline __attribute__((always_inline)) void multiply(const uint8_t* p, const int8_t* const (&x)[M],
                                                    int64_t k, typename V::I (&sum)[M]) {
  const typename V::W w = Lines<V, Bits>::template get<J>(p);
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) sum[m] = V::template dp<Bits>(sum[m], w, x[m] + k + 4 * J);
  if constexpr (J + 1 < End) multiply<V, Bits, M, J + 1, End>(p, x, k, sum);
}

// Adds a group's sums to the totals: total += scale * sum (+ offset * sum of q).
template <class V, int M>
inline __attribute__((always_inline)) const uint8_t* finish_group(const uint8_t* p,
                                                                  const Layout& layout,
                                                                  const Activations& x, int64_t g,
                                                                  const typename V::I (&sum)[M],
                                                                  typename V::F (&total)[M]) {
  const typename V::F scale = layout.half_scales ? V::load_half(p) : V::load_float(p);
  p += layout.scale_bytes();
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) total[m] = V::add_product(total[m], scale, V::to_float(sum[m]));
  if (!layout.offsets) return p;
  const typename V::F offset = V::load_float(p);
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    total[m] = V::add_product(total[m], offset, V::splat(x.group_sum[m * layout.groups + g]));
  }
  return p + kPanelRows * 4;
}

template <class V, int Bits, int M>
void panel(const PanelJob& job, const uint8_t* p, float* y) {
  const Layout& layout = *job.layout;
  const Activations& a = job.x;
  const int8_t* x[M];
  for (int m = 0; m < M; ++m) x[m] = a.q + m * a.q_stride;
  typename V::F total[M];
  for (int m = 0; m < M; ++m) total[m] = V::splat(0);
  typename V::I sum[M];
  const auto start = [&](int64_t g) {
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) sum[m] = V::set(a.start[m * layout.groups + g]);
  };
  const int64_t chunk_bytes = layout.chunk_bytes();
  int64_t k = 0;
  if (layout.chunks_per_group == 0) {
    for (int64_t g = 0; g < layout.groups; g += 2, k += kChunk) {
      V::prefetch(p + job.prefetch_bytes, chunk_bytes);
      const uint8_t* scales = p + chunk_bytes;
      start(g);
      multiply<V, Bits, M, 0, 4>(p, x, k, sum);
      scales = finish_group<V, M>(scales, layout, a, g, sum, total);
      // A row may end with the first half of a chunk: its other half has zeros for activations.
      const int64_t second = g + 1 < layout.groups ? g + 1 : g;
      if (second == g) break;
      start(second);
      multiply<V, Bits, M, 4, 8>(p, x, k, sum);
      p = finish_group<V, M>(scales, layout, a, second, sum, total);
    }
  } else {
    for (int64_t g = 0; g < layout.groups; ++g) {
      start(g);
      for (int64_t c = 0; c < layout.chunks_per_group; ++c, k += kChunk, p += chunk_bytes) {
        V::prefetch(p + job.prefetch_bytes, chunk_bytes);
        multiply<V, Bits, M, 0, 8>(p, x, k, sum);
      }
      p = finish_group<V, M>(p, layout, a, g, sum, total);
    }
  }
  for (int m = 0; m < M; ++m) V::store(y + m * job.y_stride, V::scale(total[m], a.scale[m]));
}

template <class V, int Bits, int M>
void panels(const PanelJob& job) {
  for (int64_t i = 0; i < job.panel_count; ++i) {
    panel<V, Bits, M>(job, job.panels + i * job.layout->panel_bytes, job.y + i * kPanelRows);
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
