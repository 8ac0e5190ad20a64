#pragma once
// The inner loop, written once over a vector policy V of sixteen 32-bit lanes (vec_*.h). Included
// by rows_*.cpp only, after the policy and under its target.
//
// Per dword of codes: six times shift, look up, and multiply with the four activations of each row
// from the code's first weight on, broadcast from memory. Where a code has three weights the fourth
// activation is the next code's first; it meets a zero.

#include "kernels/pattern_codes/pattern_core.h"

#define FEWBIT_INLINE inline __attribute__((always_inline))

namespace fewbit::pattern_codes {
namespace {

/// P panels and M rows of x while a group is summed up.
template <class V, int M, int P>
struct Group {
  typename V::Table table;
  const uint8_t* p[P];
  const int8_t* x[M];  ///< of the next code
  typename V::I sum[P][M];
};

template <class V, int M, int P>
FEWBIT_INLINE void multiply(Group<V, M, P>& g, int s, const typename V::W& codes, int64_t k) {
  const typename V::W w = V::look_up(g.table, codes);
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) g.sum[s][m] = V::dp(g.sum[s][m], w, g.x[m] + k);
}

// The codes Field .. 5 of dword D of a block.
template <class V, int Wpc, int D, int Field, int M, int P>
FEWBIT_INLINE void fields(Group<V, M, P>& g, const typename V::W (&w)[P]) {
  constexpr int kCode = D * 6 + Field;
#pragma GCC unroll 4
  for (int s = 0; s < P; ++s) {
    multiply(g, s, V::template right<5 * Field>(w[s]), kCode * Wpc);
  }
  if constexpr (Field < 5) fields<V, Wpc, D, Field + 1>(g, w);
}

template <class V, int Wpc, int D, int M, int P>
FEWBIT_INLINE void dwords(Group<V, M, P>& g) {
  typename V::W w[P];
#pragma GCC unroll 4
  for (int s = 0; s < P; ++s) w[s] = V::load(g.p[s] + D * kLineBytes);
  fields<V, Wpc, D, 0>(g, w);
  if constexpr (D < 4) dwords<V, Wpc, D + 1>(g);
}

// The last two codes of a block, from the rests of its dwords.
template <class V, int Wpc, int M, int P>
FEWBIT_INLINE void rests(Group<V, M, P>& g) {
#pragma GCC unroll 4
  for (int s = 0; s < P; ++s) {
    const typename V::W middle = V::load(g.p[s] + 2 * kLineBytes);
    typename V::W first = V::template right<30>(V::load(g.p[s]));
    first = V::template insert<0x0c>(first, V::template right<28>(V::load(g.p[s] + kLineBytes)));
    first = V::template insert<0x10>(first, V::template right<26>(middle));
    multiply(g, s, first, 30 * Wpc);
    typename V::W second = V::template right<31>(middle);
    second =
        V::template insert<0x06>(second, V::template right<29>(V::load(g.p[s] + 3 * kLineBytes)));
    second =
        V::template insert<0x18>(second, V::template right<27>(V::load(g.p[s] + 4 * kLineBytes)));
    multiply(g, s, second, 31 * Wpc);
  }
}

template <class V, int M, int P>
FEWBIT_INLINE void advance(Group<V, M, P>& g, int64_t lines, int64_t prefetch_bytes) {
#pragma GCC unroll 4
  for (int s = 0; s < P; ++s) {
    for (int64_t i = 0; i < lines; ++i) {
      V::prefetch(g.p[s] + prefetch_bytes + i * kLineBytes);
    }
    g.p[s] += lines * kLineBytes;
  }
}

// What a group has beyond blocks: `count` codes.
template <class V, int Wpc, int M, int P>
FEWBIT_INLINE void tail(Group<V, M, P>& g, int64_t count, int64_t prefetch_bytes) {
  for (; count > 0; count -= kCodesPerDword) {
    typename V::W w[P];
#pragma GCC unroll 4
    for (int s = 0; s < P; ++s) w[s] = V::load(g.p[s]);
    const int64_t here = count < kCodesPerDword ? count : kCodesPerDword;
    for (int64_t i = 0; i < here; ++i) {
#pragma GCC unroll 4
      for (int s = 0; s < P; ++s) {
        multiply(g, s, w[s], 0);
        w[s] = V::template right<5>(w[s]);
      }
      for (int m = 0; m < M; ++m) g.x[m] += Wpc;
    }
    advance(g, 1, prefetch_bytes);
  }
}

// P panels, `panels_apart` from each other, at the same time: as many streams from memory.
template <class V, int Wpc, int M, int P>
void panel(const PanelJob& job, const uint8_t* first, int64_t panels_apart, float* y) {
  const Layout& layout = *job.layout;
  const Activations& a = job.x;
  Group<V, M, P> group;
  group.table = V::load_table(layout.table);
  typename V::F total[P][M];
  for (int s = 0; s < P; ++s) {
    group.p[s] = first + s * panels_apart * layout.panel_bytes;
    for (int m = 0; m < M; ++m) total[s][m] = V::splat(0);
  }
  for (int64_t g = 0; g < layout.groups; ++g) {
    for (int m = 0; m < M; ++m) {
      group.x[m] = a.q + m * a.q_stride + g * layout.group_elems;
      const typename V::I start = V::set(a.start[m * layout.groups + g]);
      for (int s = 0; s < P; ++s) group.sum[s][m] = start;
    }
    for (int64_t b = 0; b < layout.blocks; ++b) {
      dwords<V, Wpc, 0>(group);
      rests<V, Wpc>(group);
      for (int m = 0; m < M; ++m) group.x[m] += kBlockCodes * Wpc;
      advance(group, kBlockDwords, job.prefetch_bytes);
    }
    tail<V, Wpc>(group, layout.tail, job.prefetch_bytes);
#pragma GCC unroll 4
    for (int s = 0; s < P; ++s) {
      const typename V::F scale =
          layout.half_scales ? V::load_half(group.p[s]) : V::load_float(group.p[s]);
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) {
        total[s][m] = V::add_product(total[s][m], scale, V::to_float(group.sum[s][m]));
      }
      group.p[s] += layout.scale_bytes();
    }
  }
  for (int s = 0; s < P; ++s) {
    for (int m = 0; m < M; ++m) {
      V::store(y + m * job.y_stride + s * panels_apart * kPanelRows,
               V::scale(total[s][m], a.scale[m]));
    }
  }
}

// How many panels go together, so that there are sums enough to keep the multipliers busy: a
// product waits for the one before it in the same sum.
constexpr int panels_at_once(int m) {
  return m <= 4 ? 4 : 2;
}

template <class V, int Wpc, int M>
void panels(const PanelJob& job) {
  constexpr int kTogether = panels_at_once(M);
  const int64_t panel_bytes = job.layout->panel_bytes;
  const int64_t apart = job.panel_count / kTogether;
  for (int64_t i = 0; i < apart; ++i) {
    panel<V, Wpc, M, kTogether>(job, job.panels + i * panel_bytes, apart, job.y + i * kPanelRows);
  }
  for (int64_t i = apart * kTogether; i < job.panel_count; ++i) {
    panel<V, Wpc, M, 1>(job, job.panels + i * panel_bytes, 0, job.y + i * kPanelRows);
  }
}

template <class V, int Wpc>
void run_rows(const PanelJob& job) {
  switch (job.rows) {
    case 1:
      return panels<V, Wpc, 1>(job);
    case 2:
      return panels<V, Wpc, 2>(job);
    case 3:
      return panels<V, Wpc, 3>(job);
    case 4:
      return panels<V, Wpc, 4>(job);
    case 5:
      return panels<V, Wpc, 5>(job);
    case 6:
      return panels<V, Wpc, 6>(job);
    case 7:
      return panels<V, Wpc, 7>(job);
    default:
      return panels<V, Wpc, 8>(job);
  }
}

template <class V>
void run_panels(const PanelJob& job) {
  return job.layout->weights_per_code == 3 ? run_rows<V, 3>(job) : run_rows<V, 4>(job);
}

}  // namespace
}  // namespace fewbit::pattern_codes

#undef FEWBIT_INLINE
