#pragma once
// From panels to bytes under one scale a row, over a vector policy V (vec_*.h). For rows_*.cpp.
//
// Where offset = -zero * scale, w / scale' = (scale / scale') * (level - zero): a product of 16-bit
// numbers that rounds and keeps the high half (VPMULHRSW),
//
//   (level - zero) * 2^p  times  rne(2^(15 - p) scale / scale'),  over 2^15
//
// with p = 8 for codes, so that bytes only need to be shifted (an error of up to 15 / 256 of a
// step), and 2 for a table of bytes. With offsets of their own, it is one multiply-add, done for
// the 16 lanes at once on pairs of 16-bit numbers (VPMADDWD), with the rounding and the zero of the
// bytes (128 for unsigned ones, else 0) in the addend:
//
//   level * factor + 2^a * addend = 2^s (w / scale' + zero + 1/2),  then shifted right by s
//
//   factor = rne(2^s scale / scale'),  addend = rne(2^(s - a) (offset / scale' + zero + 1/2))
//
// s is as large as the largest factor allows: scale / scale' <= 2 * 127 / (2^bits - 1), with a
// table of bytes (the largest of which is above 63) at most 2. Where a row has one scale and
// integers in it, bytes are those integers.

#include <algorithm>

#include "kernels/few_bit/lines.h"

namespace fewbit::few_bit {
namespace {

// The largest s with 2^s * ratio < 2^15.
constexpr int shift_for(int highest_level) {
  int s = 15;
  while ((254 << s) > 32767 * highest_level) --s;
  return s;
}

template <class V, int Bits, bool Table>
struct Expander {
  static constexpr int kShift = Table ? 13 : shift_for((1 << Bits) - 1);
  static constexpr int kAddendShift = std::max(kShift - 7, 0);

  static constexpr int64_t kAhead = 2048;  // bytes, of weights in memory

  struct Group {
    typename V::F scale, offset;
  };
  static inline __attribute__((always_inline)) Group load(const Layout& l, const uint8_t* p) {
    Group g;
    g.scale = l.half_scales ? V::load_half(p) : V::load_float(p);
    g.offset = l.offsets ? V::load_float(p + l.scale_bytes())
                         : V::scale(g.scale, static_cast<float>(-l.zero));
    return g;
  }
  // Where the scales of chunk c stand.
  static const uint8_t* scales_of(const Layout& l, const uint8_t* panel, int64_t c) {
    if (l.chunks_per_group == 0) return panel + c * l.step_bytes() + l.chunk_bytes();
    return panel + (c / l.chunks_per_group + 1) * l.step_bytes() - l.vector_bytes();
  }
  static const uint8_t* codes_of(const Layout& l, const uint8_t* panel, int64_t c) {
    if (l.chunks_per_group == 0) return panel + c * l.step_bytes();
    return panel + c / l.chunks_per_group * l.step_bytes() +
           c % l.chunks_per_group * l.chunk_bytes();
  }

  // Pairs (factor, addend) of a group.
  static inline __attribute__((always_inline)) typename V::I pairs(const Group& g,
                                                                   typename V::F inverse,
                                                                   int zero) {
    constexpr float kOne = 1 << kShift;
    constexpr float kAddendOne = 1 << (kShift - kAddendShift);
    const typename V::F factor = V::scale(V::multiply(g.scale, inverse), kOne);
    const typename V::F addend =
        V::add_product(V::splat((static_cast<float>(zero) + 0.5F) * kAddendOne),
                       V::multiply(g.offset, inverse), V::splat(kAddendOne));
    return V::pair_of(V::round(factor), V::round(addend));
  }

  static const uint8_t* end_of(const ExpandJob& job) {
    return codes_of(*job.layout, job.panel, job.chunk + job.chunks - 1);
  }
  // A panel's k of one job are a few pages; then those of the next job follow.
  static inline __attribute__((always_inline)) void fetch_ahead(const ExpandJob& job,
                                                                const uint8_t* codes,
                                                                const uint8_t* end) {
    const uint8_t* ahead = codes + kAhead;
    if (ahead > end) ahead = job.next + (ahead - end);
    V::prefetch(ahead, job.layout->chunk_bytes() + job.layout->vector_bytes());
  }

  // Without offsets of their own.
  static constexpr int kByteShift = Table ? 2 : 8;

  static inline __attribute__((always_inline)) typename V::I factors(const Group& g,
                                                                     typename V::F inverse) {
    constexpr float kOne = 1 << (15 - kByteShift);
    const typename V::I factor = V::round(V::scale(V::multiply(g.scale, inverse), kOne));
    return V::pair_of(factor, factor);
  }

  template <int J>
  static inline __attribute__((always_inline)) void scaled_line(const uint8_t* codes,
                                                                typename V::W levels,
                                                                int level_zero,
                                                                typename V::I factors, int zero,
                                                                uint8_t* out) {
    typename V::W w = Lines<V, Bits>::template get<J>(codes);
    if constexpr (Table) w = V::lookup(levels, w);
    w = V::template scale_bytes<kByteShift>(V::add_to_bytes(w, -level_zero), factors);
    V::store_line(out + 64 * J, V::add_to_bytes(w, zero));
  }

  template <int J>
  static inline __attribute__((always_inline)) void line(const uint8_t* codes, typename V::W levels,
                                                         typename V::I pairs, uint8_t* out) {
    typename V::W w = Lines<V, Bits>::template get<J>(codes);
    if constexpr (Table) w = V::lookup(levels, w);
    const typename V::I one = V::set(1 << (16 + kAddendShift));
    typename V::W bytes =
        V::template place<0, kShift>(V::madd(V::template with_byte<0>(w, one), pairs));
    bytes = V::merge(
        bytes, V::template place<1, kShift>(V::madd(V::template with_byte<1>(w, one), pairs)));
    bytes = V::merge(
        bytes, V::template place<2, kShift>(V::madd(V::template with_byte<2>(w, one), pairs)));
    bytes = V::merge(
        bytes, V::template place<3, kShift>(V::madd(V::template with_byte<3>(w, one), pairs)));
    V::store_line(out + 64 * J, bytes);
  }

  template <int J>
  static inline __attribute__((always_inline)) void exact_line(const uint8_t* codes,
                                                               typename V::W levels, int add,
                                                               uint8_t* out) {
    typename V::W w = Lines<V, Bits>::template get<J>(codes);
    if constexpr (Table) w = V::lookup(levels, w);
    V::store_line(out + 64 * J, V::add_to_bytes(w, add));
  }
  static void run_exact(const ExpandJob& job, typename V::W levels) {
    const Layout& l = *job.layout;
    uint8_t* out = job.lines;
    const int add = job.zero - l.zero;
    for (int64_t c = job.chunk; c < job.chunk + job.chunks; ++c, out += 512) {
      const uint8_t* codes = codes_of(l, job.panel, c);
      exact_line<0>(codes, levels, add, out);
      exact_line<1>(codes, levels, add, out);
      exact_line<2>(codes, levels, add, out);
      exact_line<3>(codes, levels, add, out);
      exact_line<4>(codes, levels, add, out);
      exact_line<5>(codes, levels, add, out);
      exact_line<6>(codes, levels, add, out);
      exact_line<7>(codes, levels, add, out);
    }
  }

  static void run(const ExpandJob& job) {
    const Layout& l = *job.layout;
    const typename V::W levels = Table ? V::byte_table(l.byte_levels.data()) : V::zero();
    if (l.expands_exactly()) return run_exact(job, levels);
    const typename V::F inverse = V::inverse_or_zero(V::load_floats(job.scale));
    l.offsets ? add_chunks(job, inverse, levels) : scale_chunks(job, inverse, levels);
  }

  static void scale_chunks(const ExpandJob& job, typename V::F inverse, typename V::W levels) {
    const Layout& l = *job.layout;
    const uint8_t* last_codes = end_of(job);
    uint8_t* out = job.lines;
    for (int64_t c = job.chunk; c < job.chunk + job.chunks; ++c, out += 512) {
      const uint8_t* scales = scales_of(l, job.panel, c);
      const uint8_t* codes = codes_of(l, job.panel, c);
      fetch_ahead(job, codes, last_codes);
      typename V::I group = factors(load(l, scales), inverse);
      scaled_line<0>(codes, levels, l.zero, group, job.zero, out);
      scaled_line<1>(codes, levels, l.zero, group, job.zero, out);
      scaled_line<2>(codes, levels, l.zero, group, job.zero, out);
      scaled_line<3>(codes, levels, l.zero, group, job.zero, out);
      if (l.chunks_per_group == 0) group = factors(load(l, scales + l.vector_bytes()), inverse);
      scaled_line<4>(codes, levels, l.zero, group, job.zero, out);
      scaled_line<5>(codes, levels, l.zero, group, job.zero, out);
      scaled_line<6>(codes, levels, l.zero, group, job.zero, out);
      scaled_line<7>(codes, levels, l.zero, group, job.zero, out);
    }
  }

  static void add_chunks(const ExpandJob& job, typename V::F inverse, typename V::W levels) {
    const Layout& l = *job.layout;
    const int64_t end = job.chunk + job.chunks;
    const uint8_t* last_codes = end_of(job);
    uint8_t* out = job.lines;
    for (int64_t c = job.chunk; c < end; ++c, out += 512) {
      const uint8_t* scales = scales_of(l, job.panel, c);
      const uint8_t* codes = codes_of(l, job.panel, c);
      fetch_ahead(job, codes, last_codes);
      typename V::I group = pairs(load(l, scales), inverse, job.zero);
      line<0>(codes, levels, group, out);
      line<1>(codes, levels, group, out);
      line<2>(codes, levels, group, out);
      line<3>(codes, levels, group, out);
      if (l.chunks_per_group == 0)
        group = pairs(load(l, scales + l.vector_bytes()), inverse, job.zero);
      line<4>(codes, levels, group, out);
      line<5>(codes, levels, group, out);
      line<6>(codes, levels, group, out);
      line<7>(codes, levels, group, out);
    }
  }
};

template <class V>
void expand(const ExpandJob& job) {
  if (job.layout->table) {
    switch (job.layout->bits) {
      case 2:
        return Expander<V, 2, true>::run(job);
      case 3:
        return Expander<V, 3, true>::run(job);
      default:
        return Expander<V, 4, true>::run(job);
    }
  }
  for_bits(job.layout->bits, [&]<int Bits>() { Expander<V, Bits, false>::run(job); });
}

}  // namespace
}  // namespace fewbit::few_bit
