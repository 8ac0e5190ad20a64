#pragma once
// Integer arithmetic that wraps: ONNX leaves overflow open, C++ leaves it undefined for signed
// types (and for narrow unsigned ones, which are promoted to int first).

#include <cmath>
#include <limits>
#include <type_traits>

namespace fewbit::ops {

/// The unsigned type in which T is computed: at least as wide as int, so nothing is promoted.
template <typename T>
using Wrapping = std::common_type_t<std::make_unsigned_t<T>, unsigned>;

template <typename T>
T wrap_add(T a, T b) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b));
}
template <typename T>
T wrap_sub(T a, T b) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) - static_cast<Wrapping<T>>(b));
}
template <typename T>
T wrap_mul(T a, T b) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) * static_cast<Wrapping<T>>(b));
}
template <typename T>
T wrap_negate(T a) {
  return static_cast<T>(Wrapping<T>{0} - static_cast<Wrapping<T>>(a));
}

/// Truncating division; b != 0. The one quotient that overflows, min / -1, wraps.
template <typename T>
T wrap_div(T a, T b) {
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return wrap_negate(a);
  }
  return static_cast<T>(a / b);
}

/// The integer nearest below in magnitude, held to the range of T; NaN is 0.
template <typename T>
T saturate_to(double v) {
  if (std::isnan(v)) return T{0};
  // 2^digits: the first value above the range, exactly representable.
  const double limit = std::ldexp(1.0, std::numeric_limits<T>::digits);
  if (v >= limit) return std::numeric_limits<T>::max();
  if (v < -limit) return std::numeric_limits<T>::lowest();
  return static_cast<T>(v);
}

}  // namespace fewbit::ops
