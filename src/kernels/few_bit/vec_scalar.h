#pragma once
// The vector policy of panel_kernel.h in plain C++: sixteen lanes in an array.

#include <cmath>
#include <cstdint>
#include <cstring>

#include "numerics/half.h"

namespace fewbit::few_bit {
namespace {

struct VecScalar {
  static constexpr bool kRowByRow = true;  // one at a time: small code

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
  static F load_floats(const float* p) { return load_float(reinterpret_cast<const uint8_t*>(p)); }
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
  static F multiply(F a, const F& b) {
    for (int l = 0; l < 16; ++l) a.lane[l] *= b.lane[l];
    return a;
  }
  static F inverse_or_zero(F x) {
    for (float& lane : x.lane) lane = lane >= 0x1p-126F ? 1.0F / lane : 0.0F;
    return x;
  }

  // Tables.
  struct T {
    float level[16];
  };
  static W byte_table(const uint8_t* levels) {
    W w;
    for (int i = 0; i < 64; ++i) w.byte[i] = levels[i % 16];
    return w;
  }
  static W lookup(const W& table, W codes) {
    for (uint8_t& b : codes.byte) b = table.byte[b & 15];
    return codes;
  }
  static T float_table(const float* levels) {
    T t;
    std::memcpy(t.level, levels, sizeof(t.level));
    return t;
  }
  static uint32_t lane_of(const W& w, int l) {
    uint32_t lane;
    std::memcpy(&lane, w.byte + 4 * l, 4);
    return lane;
  }
  /// Levels of the codes of `Bits` bits at bit Shift of each lane.
  template <int Shift, int Bits>
  static F permute(const T& table, const W& w) {
    F out;
    for (int l = 0; l < 16; ++l) out.lane[l] = table.level[lane_of(w, l) >> Shift & 15];
    return out;
  }
  /// Signed.
  template <int Byte>
  static F byte_as_float(const W& w) {
    F out;
    for (int l = 0; l < 16; ++l) out.lane[l] = static_cast<int8_t>(w.byte[4 * l + Byte]);
    return out;
  }

  // Expansion.
  static I round(const F& x) {
    I out;
    // What does not fit, or is NaN, is as the instruction has it.
    for (int l = 0; l < 16; ++l) {
      out.lane[l] = std::fabs(x.lane[l]) < 0x1p31F ? static_cast<int32_t>(std::nearbyint(x.lane[l]))
                                                   : INT32_MIN;
    }
    return out;
  }
  static I pair_of(I low, const I& high) {
    for (int l = 0; l < 16; ++l) {
      low.lane[l] = static_cast<int32_t>((static_cast<uint32_t>(low.lane[l]) & 0xffffU) |
                                         static_cast<uint32_t>(high.lane[l]) << 16);
    }
    return low;
  }
  /// The Byte-th byte of each lane below the high halves of `high`.
  template <int Byte>
  static I with_byte(const W& w, I high) {
    for (int l = 0; l < 16; ++l) high.lane[l] |= w.byte[4 * l + Byte];
    return high;
  }
  static I madd(const I& a, const I& b) {
    I out;
    for (int l = 0; l < 16; ++l) {
      const int low = static_cast<int16_t>(a.lane[l]) * static_cast<int16_t>(b.lane[l]);
      const int high = (a.lane[l] >> 16) * (b.lane[l] >> 16);
      out.lane[l] = low + high;
    }
    return out;
  }
  /// Bits Shift .. Shift + 7 as the Byte-th byte, the others 0.
  template <int Byte, int Shift>
  static W place(const I& x) {
    W w = zero();
    for (int l = 0; l < 16; ++l) w.byte[4 * l + Byte] = static_cast<uint8_t>(x.lane[l] >> Shift);
    return w;
  }
  static W add_to_bytes(W w, int add) {
    for (uint8_t& b : w.byte) b = static_cast<uint8_t>(b + add);
    return w;
  }
  /// Signed bytes times 16-bit factors (each lane's twice) over 2^(15 - Shift), rounded.
  template <int Shift>
  static W scale_bytes(W w, const I& factors) {
    for (int i = 0; i < 64; ++i) {
      const int x = static_cast<int8_t>(w.byte[i]) * (1 << Shift);
      const int product = x * static_cast<int16_t>(factors.lane[i / 4]);
      w.byte[i] = static_cast<uint8_t>((product + (1 << 14)) >> 15);
    }
    return w;
  }
  static void store_line(uint8_t* p, const W& w) { std::memcpy(p, w.byte, sizeof(w.byte)); }

  // Blocks of many rows.
  static constexpr int kBlockRows = 4;
  static constexpr int kBlockPanels = 1;
  static I load_sums(const int32_t* p) {
    I out;
    std::memcpy(out.lane, p, sizeof(out.lane));
    return out;
  }
  static I add(I x, int32_t y) {
    for (int32_t& lane : x.lane) lane += y;
    return x;
  }

  static void store(float* p, const F& x) { std::memcpy(p, x.lane, sizeof(x.lane)); }
  static void prefetch(const uint8_t*, int64_t) {}
};

}  // namespace
}  // namespace fewbit::few_bit
