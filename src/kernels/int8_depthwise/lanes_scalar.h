#pragma once
// The policy of depthwise_kernel.h in plain C++: one 16-byte lane.

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/int8_depthwise/depthwise_core.h"

namespace fewbit::int8 {
namespace {

struct LanesScalar {
  static constexpr int kLanes = 1;
  struct I {
    int32_t v[4];
  };
  struct F {
    float v[4];
  };
  struct H {
    int32_t v[8];
  };
  struct B {
    uint8_t v[16];
  };

  static I load_i(const int32_t* p) { return {{p[0], p[1], p[2], p[3]}}; }
  static void store_i(int32_t* p, const I& x) { std::memcpy(p, x.v, sizeof x.v); }
  static F load_f(const float* p) { return {{p[0], p[1], p[2], p[3]}}; }
  static B load_b(const void* p) {
    B b;
    std::memcpy(b.v, p, sizeof b.v);
    return b;
  }
  static void store_b(uint8_t* p, const B& b) { std::memcpy(p, b.v, sizeof b.v); }
  static I dp(const I& sum, const B& a, const B& w) {
    I out;
    for (int i = 0; i < 4; ++i) {
      int32_t dot = 0;
      for (int j = 0; j < 4; ++j) dot += a.v[4 * i + j] * static_cast<int8_t>(w.v[4 * i + j]);
      out.v[i] = static_cast<int32_t>(static_cast<uint32_t>(sum.v[i]) + static_cast<uint32_t>(dot));
    }
    return out;
  }
  static I scaled(const I& acc, const F& scale, bool) {
    I out;
    for (int i = 0; i < 4; ++i) {
      // Clamped well outside 8 bits, so that the conversion is defined.
      float x = static_cast<float>(acc.v[i]) * scale.v[i];
      x = x < 65536.0F ? x : 65536.0F;
      x = x > -65536.0F ? x : -65536.0F;
      out.v[i] = static_cast<int32_t>(std::nearbyintf(x));
    }
    return out;
  }

  struct Narrow {
    int32_t zero, lo, hi;
    explicit Narrow(const Stage& s) : zero(s.zero), lo(s.lo), hi(s.hi) {}
    H to_16(const I& x, const I& y) const {
      H out;
      for (int i = 0; i < 4; ++i) {
        out.v[i] = x.v[i] + zero;
        out.v[i + 4] = y.v[i] + zero;
      }
      return out;
    }
    B to_8(const H& x, const H& y) const {
      B out;
      for (int i = 0; i < 8; ++i) {
        out.v[i] = clamped(x.v[i]);
        out.v[i + 8] = clamped(y.v[i]);
      }
      return out;
    }
    uint8_t clamped(int32_t x) const {
      return static_cast<uint8_t>(x < lo ? lo : (x > hi ? hi : x));
    }
  };

  struct Lane16 {
    using B = LanesScalar::B;
    static constexpr int kBytes = 16;
    static B set(uint8_t x) {
      B b;
      std::memset(b.v, x, sizeof b.v);
      return b;
    }
    static B load(const uint8_t* p) { return load_b(p); }
    static B load_n(const uint8_t* p, int n) {
      B b = set(0);
      std::memcpy(b.v, p, static_cast<size_t>(n));
      return b;
    }
    template <class N, bool kWhole>
    static B gather(const uint8_t* p, int64_t, int n) {
      return kWhole ? load(p) : load_n(p, n);
    }
    static void store(uint8_t* p, const B& b) { store_b(p, b); }
    static B flip(B b, const B& mask) {
      for (int i = 0; i < 16; ++i) b.v[i] ^= mask.v[i];
      return b;
    }
    static B zip(const B& x, const B& y, int from, int bytes) {
      B out;
      for (int i = 0; i < 8; ++i) {
        const int pair = i / bytes, in = i % bytes;
        out.v[2 * pair * bytes + in] = x.v[from + i];
        out.v[2 * pair * bytes + bytes + in] = y.v[from + i];
      }
      return out;
    }
    static B lo8(const B& x, const B& y) { return zip(x, y, 0, 1); }
    static B hi8(const B& x, const B& y) { return zip(x, y, 8, 1); }
    static B lo16(const B& x, const B& y) { return zip(x, y, 0, 2); }
    static B hi16(const B& x, const B& y) { return zip(x, y, 8, 2); }
  };
};

}  // namespace
}  // namespace fewbit::int8
