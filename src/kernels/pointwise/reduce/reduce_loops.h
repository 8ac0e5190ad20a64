// Loops of reduce.h; compiled once per vector width (vec/simd.h).

namespace fewbit::pointwise::FEWBIT_VARIANT {

struct Sum {
  static constexpr float kStart = 0.0f;
  FEWBIT_INLINE V::F step(V::F total, V::F x) { return V::add(total, x); }
  FEWBIT_INLINE V::F join(V::F a, V::F b) { return V::add(a, b); }
  FEWBIT_INLINE float last(V::F v) { return V::sum(v); }
};
struct SumSquares : Sum {
  FEWBIT_INLINE V::F step(V::F total, V::F x) { return V::fma(x, x, total); }
};
struct SumAbs : Sum {
  FEWBIT_INLINE V::F step(V::F total, V::F x) { return V::add(total, V::abs(x)); }
};
struct Max {
  static constexpr float kStart = -INFINITY;
  FEWBIT_INLINE V::F step(V::F total, V::F x) { return V::max(x, total); }
  FEWBIT_INLINE V::F join(V::F a, V::F b) { return V::max(b, a); }
  FEWBIT_INLINE float last(V::F v) { return V::largest(v); }
};
struct Min {
  static constexpr float kStart = INFINITY;
  FEWBIT_INLINE V::F step(V::F total, V::F x) { return V::min(x, total); }
  FEWBIT_INLINE V::F join(V::F a, V::F b) { return V::min(b, a); }
  FEWBIT_INLINE float last(V::F v) { return V::least(v); }
};

template <typename Op>
static float reduce_row(const float* x, int64_t n) {
  constexpr int kChains = 4;
  V::F total = V::set(Op::kStart);
  int64_t i = 0;
  while (i + kChains * V::kLanes <= n) {
    V::F run[kChains];
    for (V::F& r : run) r = V::set(Op::kStart);
    for (int k = 0; k < 64 && i + kChains * V::kLanes <= n; ++k, i += kChains * V::kLanes)
      for (int j = 0; j < kChains; ++j) run[j] = Op::step(run[j], V::load(x + i + j * V::kLanes));
    total = Op::join(total, Op::join(Op::join(run[0], run[1]), Op::join(run[2], run[3])));
  }
  for (; i + V::kLanes <= n; i += V::kLanes) total = Op::step(total, V::load(x + i));
  if (i < n) {
    // The tail's lanes alone take the step.
    float lanes[V::kLanes];
    const V::F stepped = Op::step(total, V::load_n(x + i, static_cast<int>(n - i)));
    V::store(lanes, total);
    V::store_n(lanes, stepped, static_cast<int>(n - i));
    total = V::load(lanes);
  }
  return Op::last(total);
}

/// Lanes [begin, end) of the inner dimension of one [count, inner].
template <typename Op>
static void reduce_columns(const float* x, float* dst, int64_t count, int64_t inner, int64_t begin,
                           int64_t end) {
  sweep(
      end - begin, [&](int64_t lane, auto t) __attribute__((always_inline)) {
        V::F total = V::set(Op::kStart);
        for (int64_t first = 0; first < count; first += 64) {
          V::F run = V::set(Op::kStart);
          const int64_t last = first + 64 < count ? first + 64 : count;
          for (int64_t c = first; c < last; ++c)
            run = Op::step(run, load(x + c * inner + begin + lane, t));
          total = Op::join(total, run);
        }
        store(dst + begin + lane, total, t);
      });
}

template <typename Op>
constexpr ReduceRow make_row() {
  return {reduce_row<Op>, reduce_columns<Op>};
}

// In the order of ReduceOp; the mean is the sum, divided by the caller.
static constexpr ReduceTable kTable = {{make_row<Sum>(), make_row<Sum>(), make_row<Max>(),
                                        make_row<Min>(), make_row<SumSquares>(),
                                        make_row<SumAbs>()}};

}  // namespace fewbit::pointwise::FEWBIT_VARIANT
