#pragma once
// The vector policy of panel_kernel.h in plain C++: sixteen lanes in an array.

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/pattern_codes/pattern_core.h"
#include "numerics/half.h"

namespace fewbit::pattern_codes {
namespace {

struct VecScalar {
  struct W {
    uint32_t lane[16];
  };
  struct I {
    int32_t lane[16];
  };
  struct F {
    float lane[16];
  };
  struct Table {
    const PatternTable* patterns;
  };

  static Table load_table(const PatternTable& table) { return {&table}; }
  static W load(const uint8_t* p) {
    W w;
    std::memcpy(w.lane, p, sizeof(w.lane));
    return w;
  }
  template <int Shift>
  static W right(W w) {
    for (uint32_t& lane : w.lane) lane >>= Shift;
    return w;
  }
  template <int Mask>
  static W insert(W a, const W& b) {
    for (int l = 0; l < 16; ++l) a.lane[l] |= b.lane[l] & static_cast<uint32_t>(Mask);
    return a;
  }
  static W look_up(const Table& table, W codes) {
    for (uint32_t& lane : codes.lane) {
      std::memcpy(&lane, (*table.patterns)[lane & 31].data(), sizeof(lane));
    }
    return codes;
  }
  static I set(int32_t x) {
    I out;
    for (int32_t& lane : out.lane) lane = x;
    return out;
  }
  static I dp(I sum, const W& w, const int8_t* x) {
    for (int l = 0; l < 16; ++l) {
      for (int i = 0; i < 4; ++i) {
        sum.lane[l] += static_cast<int32_t>(w.lane[l] >> 8 * i & 0xff) * x[i];
      }
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
  static void prefetch(const uint8_t*) {}
};

}  // namespace
}  // namespace fewbit::pattern_codes
