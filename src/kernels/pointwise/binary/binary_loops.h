// Loops of binary.h; compiled once per vector width (vec/simd.h).

namespace fewbit::pointwise::FEWBIT_VARIANT {

struct Add {
  FEWBIT_INLINE V::F of(V::F a, V::F b) { return V::add(a, b); }
};
struct Sub {
  FEWBIT_INLINE V::F of(V::F a, V::F b) { return V::sub(a, b); }
};
struct Mul {
  FEWBIT_INLINE V::F of(V::F a, V::F b) { return V::mul(a, b); }
};
struct Div {
  FEWBIT_INLINE V::F of(V::F a, V::F b) { return V::div(a, b); }
};
struct Min {
  FEWBIT_INLINE V::F of(V::F a, V::F b) { return V::select(V::unordered(a), a, V::min(a, b)); }
};
struct Max {
  FEWBIT_INLINE V::F of(V::F a, V::F b) { return V::select(V::unordered(a), a, V::max(a, b)); }
};

template <bool kRepeat, typename Tail>
FEWBIT_INLINE V::F operand(const float* p, int64_t i, V::F repeated, Tail t) {
  if constexpr (kRepeat)
    return repeated;
  else
    return load(p + i, t);
}

template <typename Op, bool kRepeatA, bool kRepeatB>
static void binary_span(const float* a, const float* b, float* dst, int64_t n) {
  const V::F a0 = V::set(*a), b0 = V::set(*b);
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        store(dst + i, Op::of(operand<kRepeatA>(a, i, a0, t), operand<kRepeatB>(b, i, b0, t)), t);
      });
}

template <bool kRepeatA, bool kRepeatB>
static void add_clip_span(const float* a, const float* b, float* dst, int64_t n, float lo,
                          float hi) {
  const V::F a0 = V::set(*a), b0 = V::set(*b), l = V::set(lo), h = V::set(hi);
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        const V::F x = V::add(operand<kRepeatA>(a, i, a0, t), operand<kRepeatB>(b, i, b0, t));
        store(dst + i, V::min(h, V::max(l, x)), t);
      });
}

static void scale_shift_span(const float* src, float* dst, int64_t n, float scale, float shift) {
  const V::F s = V::set(scale), h = V::set(shift);
  sweep(
      n, [&](int64_t i, auto t)
             __attribute__((always_inline)) { store(dst + i, V::fma(load(src + i, t), s, h), t); });
}

static void scale_shift_row(const float* src, float* dst, int64_t n, const float* scale,
                            const float* shift) {
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        store(dst + i, V::fma(load(src + i, t), load(scale + i, t), load(shift + i, t)), t);
      });
}

template <typename Op>
constexpr BinaryRow make_row() {
  return {{{binary_span<Op, true, true>, binary_span<Op, true, false>},
           {binary_span<Op, false, true>, binary_span<Op, false, false>}}};
}

static constexpr BinaryTable kTable = {
    {make_row<Add>(), make_row<Sub>(), make_row<Mul>(), make_row<Div>(), make_row<Min>(),
     make_row<Max>()},
    {{add_clip_span<true, true>, add_clip_span<true, false>},
     {add_clip_span<false, true>, add_clip_span<false, false>}},
    scale_shift_span,
    scale_shift_row,
};

}  // namespace fewbit::pointwise::FEWBIT_VARIANT
