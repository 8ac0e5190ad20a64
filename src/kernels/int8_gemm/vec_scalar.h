#pragma once
// The vector policy of tile_kernel.h in plain C++: sixteen lanes in an array.

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/int8_gemm/int8_core.h"

namespace fewbit::int8 {
namespace {

struct VecScalar {
  struct I {
    int32_t lane[16];
  };
  struct F {
    float lane[16];
  };
  struct W {
    const int8_t* bytes;
  };
  struct A {
    uint8_t byte[4];
  };

  template <class R, class Fn>
  static R each(Fn fn) {
    R out;
    for (int i = 0; i < 16; ++i) out.lane[i] = fn(i);
    return out;
  }
  // Sums are modulo 2^32.
  static int32_t wrap(uint32_t x) { return static_cast<int32_t>(x); }
  static uint32_t bits(int32_t x) { return static_cast<uint32_t>(x); }

  static I load_i(const int32_t* p) {
    return each<I>([&](int i) { return p[i]; });
  }
  static void store_i(int32_t* p, const I& v) { std::memcpy(p, v.lane, sizeof v.lane); }
  static I set_i(int32_t x) {
    return each<I>([&](int) { return x; });
  }
  static I add_i(const I& x, const I& y) {
    return each<I>([&](int i) { return wrap(bits(x.lane[i]) + bits(y.lane[i])); });
  }
  static I sub_i(const I& x, const I& y) {
    return each<I>([&](int i) { return wrap(bits(x.lane[i]) - bits(y.lane[i])); });
  }
  static I mul_i(const I& x, const I& y) {
    return each<I>([&](int i) { return wrap(bits(x.lane[i]) * bits(y.lane[i])); });
  }
  static W load_w(const int8_t* p) { return {p}; }
  static A load_a(const uint8_t* p) { return {{p[0], p[1], p[2], p[3]}}; }
  static I dp(const I& sum, const A& a, const W& w) {
    return each<I>([&](int i) {
      int32_t dot = 0;
      for (int j = 0; j < 4; ++j) dot += a.byte[j] * w.bytes[i * 4 + j];
      return wrap(bits(sum.lane[i]) + bits(dot));
    });
  }
  static F load_f(const float* p) {
    return each<F>([&](int i) { return p[i]; });
  }
  static F set_f(float x) {
    return each<F>([&](int) { return x; });
  }
  static F to_f(const I& x) {
    return each<F>([&](int i) { return static_cast<float>(x.lane[i]); });
  }
  static I round(const F& x) {
    return each<I>([&](int i) { return static_cast<int32_t>(std::nearbyintf(x.lane[i])); });
  }
  static F mul(const F& x, const F& y) {
    return each<F>([&](int i) { return x.lane[i] * y.lane[i]; });
  }
  static F add(const F& x, const F& y) {
    return each<F>([&](int i) { return x.lane[i] + y.lane[i]; });
  }
  static F fma(const F& x, const F& y, const F& z) {
    return each<F>([&](int i) { return std::fma(x.lane[i], y.lane[i], z.lane[i]); });
  }
  static F min(const F& x, const F& y) {
    return each<F>([&](int i) { return x.lane[i] < y.lane[i] ? x.lane[i] : y.lane[i]; });
  }
  static F max(const F& x, const F& y) {
    return each<F>([&](int i) { return x.lane[i] > y.lane[i] ? x.lane[i] : y.lane[i]; });
  }
  static void store_i_n(int32_t* p, const I& v, int n) {
    for (int i = 0; i < n; ++i) p[i] = v.lane[i];
  }
  static void store_f_n(float* p, const F& v, int n) {
    for (int i = 0; i < n; ++i) p[i] = v.lane[i];
  }
  static void store_low_bytes_n(uint8_t* p, const I& v, int n) {
    for (int i = 0; i < n; ++i) p[i] = static_cast<uint8_t>(v.lane[i]);
  }
  static I load_u8_n(const uint8_t* p, int n) {
    return each<I>([&](int i) { return i < n ? static_cast<int32_t>(p[i]) : 0; });
  }
  static I load_s8_n(const uint8_t* p, int n) {
    return each<I>(
        [&](int i) { return i < n ? static_cast<int32_t>(static_cast<int8_t>(p[i])) : 0; });
  }
  template <int R, int P>
  static bool store_fused(const I (&)[R][P], const FinishArgs&) {
    return false;
  }
};

}  // namespace
}  // namespace fewbit::int8
