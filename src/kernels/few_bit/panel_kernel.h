#pragma once
// Few rows of activations: the inner loop, written once over a vector policy V of sixteen 32-bit
// lanes (vec_*.h) and over an arithmetic A. Included by rows_*.cpp only, after the policy and under
// its target.
//
// Per chunk and plane: load a line, shift and mask it to four codes a lane, and multiply it with
// four activations of each row, broadcast from memory. In float32, codes of up to 4 bits become
// levels by a permutation of a register, which reads no more than the index's lowest bits: no mask
// is needed.

#include <algorithm>

#include "kernels/few_bit/lines.h"

namespace fewbit::few_bit {
namespace {

// Activations in int8 on the codes themselves, or on the bytes that a table has for them.
template <class V, int Bits_, bool Table>
struct Int8Arithmetic {
  static constexpr int kBits = Bits_;
  using Sum = typename V::I;
  using Levels = typename V::W;
  using Element = int8_t;
  static Levels levels(const Layout& layout) {
    return Table ? V::byte_table(layout.byte_levels.data()) : V::zero();
  }
  static const int8_t* activations(const Activations& x, int m) { return x.q + m * x.stride; }
  static Sum start(const Activations& x, int64_t at) { return V::set(x.start[at]); }
  static typename V::F to_float(const Sum& sum) { return V::to_float(sum); }

  // Line J of the chunk at p with four activations of each row.
  template <int J, int M>
  static inline __attribute__((always_inline)) void multiply(const Levels& levels, const uint8_t* p,
                                                             const int8_t* const (&x)[M], int64_t k,
                                                             Sum (&sum)[M]) {
    typename V::W w = Lines<V, kBits>::template get<J>(p);
    if constexpr (Table) w = V::lookup(levels, w);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      sum[m] = V::template dp < Table ? 8 : kBits > (sum[m], w, x[m] + k + 4 * J);
    }
  }
};

// Activations in float32.
template <class V, int Bits_>
struct FloatArithmetic {
  static constexpr int kBits = Bits_;
  using Sum = typename V::F;
  struct Levels {
    typename V::T table;
    int zero;  // taken off codes of more than 4 bits
  };
  using Element = float;
  static Levels levels(const Layout& layout) {
    return {V::float_table(layout.float_levels.data()), layout.zero};
  }
  static const float* activations(const Activations& x, int m) { return x.x + m * x.stride; }
  static Sum start(const Activations&, int64_t) { return V::splat(0); }
  static typename V::F to_float(const Sum& sum) { return sum; }

  // Weights of k = 4 J + I, as floats.
  template <int J, int I>
  static inline __attribute__((always_inline)) typename V::F weight(const Levels& levels,
                                                                    const uint8_t* p) {
    if constexpr (kBits == 4) {
      return V::template permute<8 * I + J % 2 * 4, 4>(levels.table, V::load(p + J / 2 * 64));
    } else if constexpr (kBits == 2) {
      return V::template permute<8 * I + J % 4 * 2, 2>(levels.table, V::load(p + J / 4 * 64));
    } else if constexpr (kBits == 1) {
      return V::template permute<8 * I + J, 1>(levels.table, V::load(p));
    } else if constexpr (kBits == 3) {
      return V::template permute<8 * I, 3>(levels.table, Lines<V, 3>::template get<J>(p));
    } else {
      return V::template byte_as_float<I>(
          V::add_to_bytes(Lines<V, kBits>::template get<J>(p), -levels.zero));
    }
  }
  template <int J, int I, int M>
  static inline __attribute__((always_inline)) void step(const Levels& levels, const uint8_t* p,
                                                         const float* const (&x)[M], int64_t k,
                                                         Sum (&sum)[M]) {
    const typename V::F w = weight<J, I>(levels, p);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      sum[m] = V::add_product(sum[m], w, V::splat(x[m][k + 4 * J + I]));
    }
  }
  template <int J, int M>
  static inline __attribute__((always_inline)) void multiply(const Levels& levels, const uint8_t* p,
                                                             const float* const (&x)[M], int64_t k,
                                                             Sum (&sum)[M]) {
    step<J, 0>(levels, p, x, k, sum);
    step<J, 1>(levels, p, x, k, sum);
    step<J, 2>(levels, p, x, k, sum);
    step<J, 3>(levels, p, x, k, sum);
  }
};

template <class V, class A, int M, int P, int J, int End>
inline __attribute__((always_inline)) void multiply_lines(const typename A::Levels& levels,
                                                          const uint8_t* const (&p)[P],
                                                          const typename A::Element* const (&x)[M],
                                                          int64_t k, typename A::Sum (&sum)[P][M]) {
#pragma GCC unroll 4
  for (int s = 0; s < P; ++s) A::template multiply<J>(levels, p[s], x, k, sum[s]);
  if constexpr (J + 1 < End) multiply_lines<V, A, M, P, J + 1, End>(levels, p, x, k, sum);
}

// Adds a group's sums to the totals: total += scale * sum (+ offset * sum of the activations).
// `at`: bytes from p to the group's scales.
template <class V, class A, int M, int P>
inline __attribute__((always_inline)) void finish_group(const uint8_t* const (&p)[P], int64_t at,
                                                        const Layout& layout, const Activations& x,
                                                        int64_t g,
                                                        const typename A::Sum (&sum)[P][M],
                                                        typename V::F (&total)[P][M]) {
#pragma GCC unroll 4
  for (int s = 0; s < P; ++s) {
    const uint8_t* scales = p[s] + at;
    const typename V::F scale = layout.half_scales ? V::load_half(scales) : V::load_float(scales);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      total[s][m] = V::add_product(total[s][m], scale, A::to_float(sum[s][m]));
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

template <class V, class A, int M, int P>
inline __attribute__((always_inline)) void start_group(const Activations& x, const Layout& layout,
                                                       int64_t g, typename A::Sum (&sum)[P][M]) {
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    const typename A::Sum start = A::start(x, m * layout.groups + g);
#pragma GCC unroll 4
    for (int s = 0; s < P; ++s) sum[s][m] = start;
  }
}

// P panels, `stream_panels` apart, at the same time: as many streams from memory.
template <class V, class A, int M, int P>
void panel(const PanelJob& job, int64_t index, int64_t stream_panels) {
  const Layout& layout = *job.layout;
  const Activations& a = job.x;
  const typename A::Levels levels = A::levels(layout);
  const typename A::Element* x[M];
  for (int m = 0; m < M; ++m) x[m] = A::activations(a, m);
  const uint8_t* p[P];
  for (int s = 0; s < P; ++s) p[s] = job.panels + (index + s * stream_panels) * layout.panel_bytes;
  typename V::F total[P][M];
  typename A::Sum sum[P][M];
  for (int s = 0; s < P; ++s) {
    for (int m = 0; m < M; ++m) total[s][m] = V::splat(0);
  }
  const int64_t chunk_bytes = layout.chunk_bytes();
  const int64_t step_bytes = layout.step_bytes();
  const int64_t vector_bytes = layout.vector_bytes();
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
      start_group<V, A, M, P>(a, layout, g, sum);
      multiply_lines<V, A, M, P, 0, 4>(levels, p, x, k, sum);
      finish_group<V, A, M, P>(p, chunk_bytes, layout, a, g, sum, total);
      // A row may end with the first half of a chunk.
      if (g + 1 == layout.groups) break;
      start_group<V, A, M, P>(a, layout, g + 1, sum);
      multiply_lines<V, A, M, P, 4, 8>(levels, p, x, k, sum);
      finish_group<V, A, M, P>(p, chunk_bytes + vector_bytes, layout, a, g + 1, sum, total);
      advance(step_bytes);
    }
  } else {
    for (int64_t g = 0; g < layout.groups; ++g) {
      start_group<V, A, M, P>(a, layout, g, sum);
      for (int64_t c = 0; c < layout.chunks_per_group; ++c, k += kChunk) {
        multiply_lines<V, A, M, P, 0, 8>(levels, p, x, k, sum);
        advance(chunk_bytes);
      }
      finish_group<V, A, M, P>(p, 0, layout, a, g, sum, total);
      advance(vector_bytes);
    }
  }
  for (int s = 0; s < P; ++s) {
    const int64_t n = (index + s * stream_panels) * kPanelRows;
    const typename V::F unit = V::load_floats(job.row_unit + n);
    for (int m = 0; m < M; ++m) {
      V::store(job.y + m * job.y_stride + n, V::scale(V::multiply(total[s][m], unit), a.scale[m]));
    }
  }
}

template <class V, class A, int M>
void panels(const PanelJob& job) {
  int64_t done = 0;
  if constexpr (M == 1) {
    constexpr int kStreams = 4;
    const int64_t stream_panels = job.streams > 1 ? job.panel_count / kStreams : 0;
    for (int64_t i = 0; i < stream_panels; ++i) panel<V, A, 1, kStreams>(job, i, stream_panels);
    done = stream_panels * kStreams;
  }
  for (int64_t i = done; i < job.panel_count; ++i) panel<V, A, M, 1>(job, i, 0);
}

// Rows [row, row + M) of a job.
template <class V, class A, int M>
void run_part(const PanelJob& job, int row) {
  PanelJob part = job;
  part.rows = M;
  part.x = job.x.from(row, job.layout->groups);
  part.y = job.y + row * job.y_stride;
  panels<V, A, M>(part);
}

// In powers of two: code for every number of rows would be large. Rows that take several turns take
// them while the panels are in the second-level cache.
template <class V, class A>
void run_rows(const PanelJob& job) {
  if (job.rows == 1) return panels<V, A, 1>(job);
  constexpr int64_t kCacheBytes = int64_t{256} << 10;
  const bool one_turn = !V::kRowByRow && (job.rows & (job.rows - 1)) == 0;
  const int64_t together =
      one_turn ? job.panel_count : std::max<int64_t>(kCacheBytes / job.layout->panel_bytes, 1);
  PanelJob part = job;
  for (int64_t p = 0; p < job.panel_count; p += together) {
    part.panels = job.panels + p * job.layout->panel_bytes;
    part.row_unit = job.row_unit + p * kPanelRows;
    part.panel_count = std::min(together, job.panel_count - p);
    part.y = job.y + p * kPanelRows;
    int row = 0;
    if constexpr (!V::kRowByRow) {
      for (; row + 8 <= job.rows; row += 8) run_part<V, A, 8>(part, row);
      for (; row + 4 <= job.rows; row += 4) run_part<V, A, 4>(part, row);
      for (; row + 2 <= job.rows; row += 2) run_part<V, A, 2>(part, row);
    }
    for (; row < job.rows; ++row) run_part<V, A, 1>(part, row);
  }
}

template <class V>
void run_panels(const PanelJob& job) {
  if (job.layout->table) {
    // Levels in 1 bit are integers, so there is no table for them.
    switch (job.layout->bits) {
      case 2:
        return run_rows<V, Int8Arithmetic<V, 2, true>>(job);
      case 3:
        return run_rows<V, Int8Arithmetic<V, 3, true>>(job);
      default:
        return run_rows<V, Int8Arithmetic<V, 4, true>>(job);
    }
  }
  for_bits(job.layout->bits, [&]<int Bits>() { run_rows<V, Int8Arithmetic<V, Bits, false>>(job); });
}

template <class V>
void run_float_panels(const PanelJob& job) {
  for_bits(job.layout->bits, [&]<int Bits>() { run_rows<V, FloatArithmetic<V, Bits>>(job); });
}

}  // namespace
}  // namespace fewbit::few_bit
