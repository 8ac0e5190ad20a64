// Loops of qarith.h; compiled once per vector width (vec/simd.h).

namespace fewbit::pointwise::FEWBIT_VARIANT {

/// Codes of one operand, one per lane or one for all.
template <typename T, bool kRepeat, typename Tail>
FEWBIT_INLINE V::I operand(const T* p, int64_t i, V::I repeated, Tail t) {
  if constexpr (kRepeat)
    return repeated;
  else
    return load_wide(p + i, t);
}

template <typename T, bool kRepeatA, bool kRepeatB>
static void add_span(const void* pa, const void* pb, void* pd, int64_t n, const QAddArgs& k) {
  const T* a = static_cast<const T*>(pa);
  const T* b = static_cast<const T*>(pb);
  T* dst = static_cast<T*>(pd);
  const V::I a0 = V::set_int(kRepeatA ? *a : 0), b0 = V::set_int(kRepeatB ? *b : 0);
  const V::F ra = V::set(k.ra), rb = V::set(k.rb), fixed = V::set(k.fixed);
  const V::F lo = V::set(k.lo), hi = V::set(k.hi);
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        V::F x = V::fma(V::to_float(operand<T, kRepeatB>(b, i, b0, t)), rb, fixed);
        x = V::fma(V::to_float(operand<T, kRepeatA>(a, i, a0, t)), ra, x);
        store_narrow(dst + i, V::to_int(V::min(V::max(x, lo), hi)), t);
      });
}

template <typename T, bool kRepeatA, bool kRepeatB>
static void mul_span(const void* pa, const void* pb, void* pd, int64_t n, const QMulArgs& k) {
  const T* a = static_cast<const T*>(pa);
  const T* b = static_cast<const T*>(pb);
  T* dst = static_cast<T*>(pd);
  const V::I a0 = V::set_int(kRepeatA ? *a : 0), b0 = V::set_int(kRepeatB ? *b : 0);
  const V::I za = V::set_int(k.za), zb = V::set_int(k.zb);
  const V::F r = V::set(k.r), zero = V::set(k.zero), lo = V::set(k.lo), hi = V::set(k.hi);
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        const V::I product = V::mul_int(V::sub_int(operand<T, kRepeatA>(a, i, a0, t), za),
                                        V::sub_int(operand<T, kRepeatB>(b, i, b0, t), zb));
        const V::F x = V::add(V::mul(V::to_float(product), r), zero);
        store_narrow(dst + i, V::to_int(V::min(V::max(x, lo), hi)), t);
      });
}

template <typename T>
constexpr QArithRow make_row() {
  return {{{add_span<T, true, true>, add_span<T, true, false>},
           {add_span<T, false, true>, add_span<T, false, false>}},
          {{mul_span<T, true, true>, mul_span<T, true, false>},
           {mul_span<T, false, true>, mul_span<T, false, false>}}};
}

static constexpr QArithTable kTable = {make_row<uint8_t>(), make_row<int8_t>()};

}  // namespace fewbit::pointwise::FEWBIT_VARIANT
