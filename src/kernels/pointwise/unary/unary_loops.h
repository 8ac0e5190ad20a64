// Loops of unary.h; compiled once per vector width (vec/simd.h).
#include "kernels/pointwise/vec/math.h"

namespace fewbit::pointwise::FEWBIT_VARIANT {

/// One function: a type with `static V::F of(V::F x, V::F alpha, V::F beta)`.
template <typename Function>
static void unary_span(const float* src, float* dst, int64_t n, float alpha, float beta) {
  const V::F a = V::set(alpha), b = V::set(beta);
  sweep(
      n, [&](int64_t i, auto t) __attribute__((always_inline)) {
        store(dst + i, Function::of(load(src + i, t), a, b), t);
      });
}

#define FEWBIT_FUNCTION(name, ...)                                                    \
  struct name {                                                                       \
    FEWBIT_INLINE V::F of(V::F x, [[maybe_unused]] V::F a, [[maybe_unused]] V::F b) { \
      __VA_ARGS__                                                                     \
    }                                                                                 \
  }

FEWBIT_INLINE V::F zero() {
  return V::set(0.0f);
}
FEWBIT_INLINE V::F one() {
  return V::set(1.0f);
}

FEWBIT_FUNCTION(Identity, return x;);
FEWBIT_FUNCTION(Relu, return V::max(zero(), x););
FEWBIT_FUNCTION(Clip, return V::min(b, V::max(a, x)););
FEWBIT_FUNCTION(LeakyRelu, return V::select(V::lt(x, zero()), V::mul(x, a), x););
FEWBIT_FUNCTION(Elu, return V::select(V::lt(x, zero()), V::mul(a, expm1(x)), x););
FEWBIT_FUNCTION(Selu, return V::mul(b, V::select(V::lt(zero(), x), x, V::mul(a, expm1(x)))););
FEWBIT_FUNCTION(Celu, return V::select(V::lt(x, zero()), V::mul(a, expm1(V::div(x, a))), x););
FEWBIT_FUNCTION(ThresholdedRelu, return V::select(V::le(x, a), zero(), x););
FEWBIT_FUNCTION(Sigmoid, return sigmoid(x););
FEWBIT_FUNCTION(HardSigmoid, return V::min(one(), V::max(zero(), V::fma(a, x, b))););
FEWBIT_FUNCTION(HardSwish,
                // x + 3 is exact where it cancels, x / 6 + 1 / 2 is not.
                const V::F gate = V::max(zero(), V::add(x, V::set(3.0f)));
                return V::mul(V::mul(x, V::min(V::set(6.0f), gate)), V::set(1.0f / 6.0f)););
FEWBIT_FUNCTION(Silu, return V::mul(x, sigmoid(V::mul(a, x))););
FEWBIT_FUNCTION(Mish, return mish(x););
FEWBIT_FUNCTION(GeluErf, return gelu_erf(x););
FEWBIT_FUNCTION(GeluTanh, return gelu_tanh(x););
FEWBIT_FUNCTION(Softplus, return softplus(x););
FEWBIT_FUNCTION(Softsign, return V::div(x, V::add(one(), V::abs(x))););
FEWBIT_FUNCTION(Tanh, return tanh(x););
FEWBIT_FUNCTION(Erf, return erf(x););
FEWBIT_FUNCTION(Exp, return exp(x););
FEWBIT_FUNCTION(Log, return log(x););
FEWBIT_FUNCTION(Sqrt, return V::sqrt(x););
FEWBIT_FUNCTION(Reciprocal, return V::div(one(), x););
FEWBIT_FUNCTION(Abs, return V::abs(x););
FEWBIT_FUNCTION(Neg, return V::sub(V::set(-0.0f), x););
FEWBIT_FUNCTION(Square, return V::mul(x, x););
FEWBIT_FUNCTION(Floor, return V::floor(x););
FEWBIT_FUNCTION(Ceil, return V::ceil(x););
FEWBIT_FUNCTION(Round, return V::round(x););
FEWBIT_FUNCTION(Sign, return V::select(V::eq(x, zero()), x,
                                       V::select(V::unordered(x), x, V::copysign(one(), x))););
#undef FEWBIT_FUNCTION

// In the order of UnaryOp.
static constexpr UnaryTable kTable = {{
    unary_span<Identity>,   unary_span<Relu>,
    unary_span<Clip>,       unary_span<LeakyRelu>,
    unary_span<Elu>,        unary_span<Selu>,
    unary_span<Celu>,       unary_span<ThresholdedRelu>,
    unary_span<Sigmoid>,    unary_span<HardSigmoid>,
    unary_span<HardSwish>,  unary_span<Silu>,
    unary_span<Mish>,       unary_span<GeluErf>,
    unary_span<GeluTanh>,   unary_span<Softplus>,
    unary_span<Softsign>,   unary_span<Tanh>,
    unary_span<Erf>,        unary_span<Exp>,
    unary_span<Log>,        unary_span<Sqrt>,
    unary_span<Reciprocal>, unary_span<Abs>,
    unary_span<Neg>,        unary_span<Square>,
    unary_span<Floor>,      unary_span<Ceil>,
    unary_span<Round>,      unary_span<Sign>,
}};

}  // namespace fewbit::pointwise::FEWBIT_VARIANT
