// exp, log, erf and friends on V. Included once per width by the loops that need it, after sweep.h;
// no include guard. Minimax coefficients fitted for these ranges (weighted least squares,
// reweighted until the error levels out); the error quoted is the polynomial's own, relative. NaN
// in, NaN out.

namespace fewbit::pointwise::FEWBIT_VARIANT {

/// c[0] + c[1] x + ... by Horner's rule.
template <int kCount>
FEWBIT_INLINE V::F polynomial(V::F x, const float (&c)[kCount]) {
  V::F sum = V::set(c[kCount - 1]);
#pragma GCC unroll 16
  for (int i = kCount - 2; i >= 0; --i) sum = V::fma(sum, x, V::set(c[i]));
  return sum;
}

/// x = n ln 2 + r, |r| <= ln 2 / 2; p = e^r - 1.
struct ExpParts {
  V::I n;
  V::F p;
};

/// x within [-104, 89] (or NaN).
FEWBIT_INLINE ExpParts exp_parts(V::F x) {
  // (e^r - 1 - r) / r^2, 2.4e-10.
  static constexpr float kQ[] = {0x1.000000p-1f, 0x1.555556p-3f,  0x1.5554aep-5f,
                                 0x1.111090p-7f, 0x1.6d7486p-10f, 0x1.a1a164p-13f};
  const V::F n = V::round(V::mul(x, V::set(0x1.715476p+0f)));
  // ln 2 in two parts: the first has trailing zeros, so that n times it is exact.
  V::F r = V::fma(n, V::set(-0x1.62e400p-1f), x);
  r = V::fma(n, V::set(-0x1.7f7d1cp-20f), r);
  return {V::to_int(n), V::fma(V::mul(r, r), polynomial(r, kQ), r)};
}

/// 2^n as a float, -126 <= n <= 127.
FEWBIT_INLINE V::F power_of_two(V::I n) {
  return V::from_bits(V::template shift_left<23>(V::add_int(n, V::set_int(127))));
}

FEWBIT_INLINE V::F exp(V::F x) {
  const V::F clamped = V::max(V::set(-104.0f), V::min(V::set(89.0f), x));
  const ExpParts e = exp_parts(clamped);
  // Two factors, so that results near overflow and subnormal ones come out right.
  const V::I half = V::template shift_right<1>(e.n);
  const V::F y = V::mul(V::add(V::set(1.0f), e.p), power_of_two(half));
  return V::mul(y, power_of_two(V::sub_int(e.n, half)));
}

/// e^x for x <= 0 or so: one factor; results below 2^-125 become 0.
FEWBIT_INLINE V::F exp_nonpositive(V::F x) {
  const ExpParts e = exp_parts(V::max(V::set(-87.0f), x));
  const V::F scale = power_of_two(e.n);
  return V::select(V::lt(x, V::set(-87.0f)), V::set(0.0f), V::fma(scale, e.p, scale));
}

/// e^x - 1 without cancellation; x clamped to [-87, 88].
FEWBIT_INLINE V::F expm1(V::F x) {
  const ExpParts e = exp_parts(V::max(V::set(-87.0f), V::min(V::set(88.0f), x)));
  const V::F scale = power_of_two(e.n);
  return V::fma(scale, e.p, V::sub(scale, V::set(1.0f)));
}

/// log(1 + f) for f in [sqrt(1/2) - 1, sqrt(2) - 1].
FEWBIT_INLINE V::F log1p_core(V::F f) {
  // (log(1 + f) - f + f^2 / 2) / f^3, 5.9e-9.
  static constexpr float kP[] = {0x1.55554ap-2f, -0x1.000220p-2f, 0x1.99a596p-3f, -0x1.54788ap-3f,
                                 0x1.226e4ap-3f, -0x1.0ce07cp-3f, 0x1.07d0f0p-3f, -0x1.41ee0cp-4f};
  const V::F square = V::mul(f, f);
  const V::F tail = V::mul(V::mul(square, f), polynomial(f, kP));
  return V::add(f, V::fma(V::set(-0.5f), square, tail));
}

/// log(1 + u) for u in [0, 1]: halving 1 + u where it exceeds sqrt 2 keeps f exact.
FEWBIT_INLINE V::F log1p_unit(V::F u) {
  const V::M big = V::lt(V::set(0x1.a8279ap-2f), u);
  const V::F f = V::select(big, V::mul(V::sub(u, V::set(1.0f)), V::set(0.5f)), u);
  const V::F y = log1p_core(f);
  return V::select(big, V::add(y, V::set(0x1.62e430p-1f)), y);
}

FEWBIT_INLINE V::F log(V::F x) {
  // Subnormals are scaled up first.
  const V::M tiny = V::lt(x, V::set(0x1p-126f));
  const V::F y = V::select(tiny, V::mul(x, V::set(0x1p24f)), x);
  const V::I bits = V::bits(y);
  // Subtracting the bits of sqrt(1/2) splits at sqrt(1/2) 2^k, so the mantissa lies in
  // [sqrt(1/2), sqrt 2).
  const V::I shifted = V::sub_int(bits, V::set_int(0x3f3504f3));
  const V::I k = V::template shift_right<23>(shifted);
  const V::F m = V::from_bits(V::sub_int(bits, V::template shift_left<23>(k)));
  const V::F e = V::sub(V::to_float(k), V::select(tiny, V::set(24.0f), V::set(0.0f)));
  const V::F f = V::sub(m, V::set(1.0f));
  V::F r = V::fma(e, V::set(0x1.7f7d1cp-20f), log1p_core(f));
  r = V::fma(e, V::set(0x1.62e400p-1f), r);
  r = V::select(V::eq(x, V::set(INFINITY)), x, r);
  r = V::select(V::eq(x, V::set(0.0f)), V::set(-INFINITY), r);
  return V::select(V::le(V::set(0.0f), x), r, V::set(NAN));
}

/// erfc(a) for a >= 0: e^(-a^2) t P(t), t = 1 / (1 + 0.35 a); 7.3e-9.
FEWBIT_INLINE V::F erfc_nonnegative(V::F a) {
  static constexpr float kP[] = {0x1.947198p-3f,  0x1.93cb82p-3f, 0x1.80634ep-3f,  0x1.378f76p-3f,
                                 0x1.25c560p-3f,  0x1.7769d6p-4f, -0x1.0ed5b0p-5f, 0x1.7b9090p-3f,
                                 -0x1.48bfdap-3f, 0x1.3cea3ap-5f};
  a = V::min(V::set(11.0f), a);
  const V::F t = V::div(V::set(1.0f), V::fma(a, V::set(0.35f), V::set(1.0f)));
  // a^2 rounded, and what the rounding lost: e^-(s + d) = e^-s (1 - d).
  const V::F s = V::mul(a, a);
  const V::F d = V::fma(a, a, V::sub(V::set(0.0f), s));
  const V::F e = exp_nonpositive(V::sub(V::set(0.0f), s));
  const V::F g = V::mul(V::mul(t, polynomial(t, kP)), e);
  return V::fma(V::sub(V::set(0.0f), d), g, g);
}

FEWBIT_INLINE V::F erf(V::F x) {
  // erf(x) / x in x^2 up to 0.85, 4e-10.
  static constexpr float kP[] = {0x1.20dd76p+0f, -0x1.812744p-2f,  0x1.ce2e30p-4f, -0x1.b811bep-6f,
                                 0x1.54e624p-8f, -0x1.ab4742p-11f, 0x1.603536p-14f};
  const V::F a = V::abs(x);
  const V::F small = V::mul(x, polynomial(V::mul(x, x), kP));
  const V::F big = V::copysign(V::sub(V::set(1.0f), erfc_nonnegative(a)), x);
  return V::select(V::lt(a, V::set(0.92f)), small, big);
}

FEWBIT_INLINE V::F tanh(V::F x) {
  // e^2a - 1 over itself plus 2; from 9.1 on the quotient rounds to 1.
  const V::F a = V::min(V::set(9.1f), V::abs(x));
  const V::F m = expm1(V::add(a, a));
  return V::copysign(V::div(m, V::add(m, V::set(2.0f))), x);
}

FEWBIT_INLINE V::F sigmoid(V::F x) {
  return V::div(V::set(1.0f), V::add(V::set(1.0f), exp(V::sub(V::set(0.0f), x))));
}

FEWBIT_INLINE V::F softplus(V::F x) {
  const V::F u = exp_nonpositive(V::sub(V::set(0.0f), V::abs(x)));
  return V::add(V::max(V::set(0.0f), x), log1p_unit(u));
}

FEWBIT_INLINE V::F gelu_erf(V::F x) {
  // x / 2 erfc(-x / sqrt 2): no cancellation on the negative side.
  const V::F e = erfc_nonnegative(V::mul(V::abs(x), V::set(0x1.6a09e6p-1f)));
  const V::F wide = V::select(V::lt(x, V::set(0.0f)), e, V::sub(V::set(2.0f), e));
  return V::mul(V::mul(x, V::set(0.5f)), wide);
}

FEWBIT_INLINE V::F gelu_tanh(V::F x) {
  // (1 + tanh u) / 2 = sigmoid(2 u), 2 u = 2 sqrt(2 / pi) (x + 0.044715 x^3).
  const V::F cubic = V::fma(V::mul(x, x), V::set(0.044715f), V::set(1.0f));
  const V::F u = V::mul(V::mul(x, V::set(0x1.988454p+0f)), cubic);
  return V::mul(x, sigmoid(u));
}

FEWBIT_INLINE V::F mish(V::F x) {
  // tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2), e = e^x; 1 to the last bit from x = 20 on.
  const V::F e = exp(V::min(V::set(20.0f), x));
  const V::F n = V::mul(e, V::add(e, V::set(2.0f)));
  return V::mul(x, V::div(n, V::add(n, V::set(2.0f))));
}

}  // namespace fewbit::pointwise::FEWBIT_VARIANT
