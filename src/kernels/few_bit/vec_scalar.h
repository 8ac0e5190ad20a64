#pragma once
// The vector policy of panel_kernel.h in plain C++: sixteen lanes in an array.

#include <cmath>
#include <cstdint>
#include <cstring>

#include "numerics/half.h"

namespace fewbit::few_bit {
namespace {

struct VecScalar {
  struct W {
    uint8_t byte[64];
  };
  struct I {
    int32_t lane[16];
  };
  struct F {
    float lane[16];
  };

  static W load(const uint8_t* p) {
    W w;
    std::memcpy(w.byte, p, sizeof(w.byte));
    return w;
  }
  static W zero() { return {}; }
  template <int Shift, int Mask>
  static W field(W w) {
    for (uint8_t& b : w.byte) b = static_cast<uint8_t>(b >> Shift & Mask);
    return w;
  }
  template <int Shift>
  static W left(W w) {
    for (uint8_t& b : w.byte) b = static_cast<uint8_t>(b << Shift);
    return w;
  }
  static W merge(W a, const W& b) {
    for (int i = 0; i < 64; ++i) a.byte[i] |= b.byte[i];
    return a;
  }
  static I set(int32_t x) {
    I out;
    for (int32_t& lane : out.lane) lane = x;
    return out;
  }
  template <int Bits>
  static I dp(I sum, const W& w, const int8_t* x) {
    for (int l = 0; l < 16; ++l) {
      for (int i = 0; i < 4; ++i) sum.lane[l] += w.byte[4 * l + i] * x[i];
    }
    return sum;
  }
  static F to_float(const I& x) {
    F out;
    for (int l = 0; l < 16; ++l) out.lane[l] = static_cast<float>(x.lane[l]);
    return out;
  }
  static F splat(float x) {
    F out;
    for (float& lane : out.lane) lane = x;
    return out;
  }
  static F load_half(const uint8_t* p) {
    F out;
    for (int l = 0; l < 16; ++l) {
      Half h;
      std::memcpy(&h, p + 2 * l, sizeof(h));
      out.lane[l] = h.to_float();
    }
    return out;
  }
  static F load_float(const uint8_t* p) {
    F out;
    std::memcpy(out.lane, p, sizeof(out.lane));
    return out;
  }
  /// In one rounding, as the vector instructions do.
  static F add_product(F sum, const F& a, const F& b) {
    for (int l = 0; l < 16; ++l) sum.lane[l] = std::fma(a.lane[l], b.lane[l], sum.lane[l]);
    return sum;
  }
  static F scale(F x, float s) {
    for (float& lane : x.lane) lane *= s;
    return x;
  }
  static void store(float* p, const F& x) { std::memcpy(p, x.lane, sizeof(x.lane)); }
  static void prefetch(const uint8_t*, int64_t) {}
};

}  // namespace
}  // namespace fewbit::few_bit
