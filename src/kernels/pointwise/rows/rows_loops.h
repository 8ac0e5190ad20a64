// Loops of rows.h; compiled once per vector width (vec/simd.h).
#include "kernels/pointwise/vec/math.h"

namespace fewbit::pointwise::FEWBIT_VARIANT {

FEWBIT_INLINE V::F keep(V::F v, V::F, Whole) {
  return v;
}
/// The lanes beyond a tail hold `other`.
FEWBIT_INLINE V::F keep(V::F v, V::F other, Part t) {
  float lanes[V::kLanes];
  V::store(lanes, other);
  V::store_n(lanes, v, t.n);
  return V::load(lanes);
}

static float row_max(const float* x, int64_t n) {
  const V::F low = V::set(-INFINITY);
  V::F best = low;
  sweep(
      n, [&](int64_t i, auto t)
             __attribute__((always_inline)) { best = V::max(keep(load(x + i, t), low, t), best); });
  return V::largest(best);
}

/// dst = e^(x - shift); returns the sum.
static float exp_row(const float* x, float* dst, int64_t n, float shift) {
  const V::F s = V::set(shift), zero = V::set(0.0f);
  V::F sum = zero;
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        const V::F e = exp_nonpositive(V::sub(load(x + i, t), s));
        store(dst + i, e, t);
        sum = V::add(sum, keep(e, zero, t));
      });
  return V::sum(sum);
}

static void softmax_row(const float* x, float* dst, int64_t n) {
  const float sum = exp_row(x, dst, n, row_max(x, n));
  const V::F inverse = V::set(1.0f / sum);
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        store(dst + i, V::mul(load(dst + i, t), inverse), t);
      });
}

static void log_softmax_row(const float* x, float* dst, int64_t n) {
  const float top = row_max(x, n);
  const V::F shift = V::set(top), zero = V::set(0.0f);
  V::F sum = zero;
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        sum = V::add(sum, keep(exp_nonpositive(V::sub(load(x + i, t), shift)), zero, t));
      });
  const V::F log_sum = V::set(std::log(V::sum(sum)));
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        store(dst + i, V::sub(V::sub(load(x + i, t), shift), log_sum), t);
      });
}

/// Lanes [begin, end) of the inner dimension of one [cols, inner].
static void softmax_columns(const float* x, float* dst, int64_t cols, int64_t inner, int64_t begin,
                            int64_t end, bool logarithm) {
  sweep(
      end - begin, [&](int64_t lane, auto t) __attribute__((always_inline)) {
        const int64_t i = begin + lane;
        V::F top = V::set(-INFINITY);
        for (int64_t c = 0; c < cols; ++c) top = V::max(load(x + c * inner + i, t), top);
        V::F sum = V::set(0.0f);
        for (int64_t c = 0; c < cols; ++c) {
          const V::F shifted = V::sub(load(x + c * inner + i, t), top);
          const V::F e = exp_nonpositive(shifted);
          store(dst + c * inner + i, logarithm ? shifted : e, t);
          sum = V::add(sum, e);
        }
        const V::F log_sum = log(sum), inverse = V::div(V::set(1.0f), sum);
        for (int64_t c = 0; c < cols; ++c) {
          const V::F y = load(dst + c * inner + i, t);
          store(dst + c * inner + i, logarithm ? V::sub(y, log_sum) : V::mul(y, inverse), t);
        }
      });
}

static float row_sum(const float* x, int64_t n) {
  V::F sum = V::set(0.0f);
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        sum = V::add(sum, load(x + i, t));  // a tail's missing lanes load as 0
      });
  return V::sum(sum);
}

static float row_squares(const float* x, int64_t n, float mean) {
  const V::F m = V::set(mean), zero = V::set(0.0f);
  V::F sum = zero;
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        const V::F d = keep(V::sub(load(x + i, t), m), zero, t);
        sum = V::fma(d, d, sum);
      });
  return V::sum(sum);
}

static void normalize_row(const float* x, float* dst, int64_t n, float mean, float inverse,
                          const float* scale, const float* bias) {
  const V::F m = V::set(mean), r = V::set(inverse);
  if (bias != nullptr)
    sweep(
        n, [&](int64_t i, auto t) __attribute__((always_inline)) {
          const V::F y = V::mul(V::sub(load(x + i, t), m), r);
          store(dst + i, V::fma(y, load(scale + i, t), load(bias + i, t)), t);
        });
  else
    sweep(
        n, [&](int64_t i, auto t) __attribute__((always_inline)) {
          const V::F y = V::mul(V::sub(load(x + i, t), m), r);
          store(dst + i, V::mul(y, load(scale + i, t)), t);
        });
}

static constexpr RowsTable kTable = {softmax_row, log_softmax_row, softmax_columns,
                                     row_sum,     row_squares,     normalize_row};

}  // namespace fewbit::pointwise::FEWBIT_VARIANT
