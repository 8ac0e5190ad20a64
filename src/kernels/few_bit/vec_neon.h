#pragma once
// The vector policies of panel_kernel.h on NEON: sixteen lanes are four registers. Codes are
// unsigned and activations signed, which is what USDOT multiplies (FEAT_I8MM). With FEAT_DotProd
// alone SDOT takes codes of up to 7 bits as they are and those of 8 bits shifted by 128, which
// 128 times the sum of the activations gives back. Include after setting the target;
// FEWBIT_HAS_I8MM says which.

#include <arm_neon.h>

#include <cstdint>

namespace fewbit::few_bit {
namespace {

#define FEWBIT_INLINE static inline __attribute__((always_inline))

struct VecNeon {
  // Sums of several rows, and codes, are more than 32 registers: four rows together took as many
  // instructions as one after the other.
  static constexpr bool kRowByRow = true;
  // Members, not arrays: those would go through memory.
  template <class R>
  struct Four {
    R a, b, c, d;
  };
  using W = Four<uint8x16_t>;
  using I = Four<int32x4_t>;
  using F = Four<float32x4_t>;

  FEWBIT_INLINE uint32x4_t words(uint8x16_t x) { return vreinterpretq_u32_u8(x); }
  FEWBIT_INLINE uint8x16_t bytes(uint32x4_t x) { return vreinterpretq_u8_u32(x); }
  FEWBIT_INLINE int8x16_t signed_bytes(uint8x16_t x) { return vreinterpretq_s8_u8(x); }

  FEWBIT_INLINE W load(const uint8_t* p) {
    return {vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)};
  }
  FEWBIT_INLINE W zero() {
    const uint8x16_t none = vdupq_n_u8(0);
    return {none, none, none, none};
  }
  template <int Shift, int Mask>
  FEWBIT_INLINE uint8x16_t field_of(uint8x16_t w) {
    if constexpr (Shift == 0) return vandq_u8(w, vdupq_n_u8(Mask));
    const uint8x16_t shifted = vshrq_n_u8(w, Shift == 0 ? 1 : Shift);
    return 0xff >> Shift == Mask ? shifted : vandq_u8(shifted, vdupq_n_u8(Mask));
  }
  /// Bits Shift.. of every byte, masked.
  template <int Shift, int Mask>
  FEWBIT_INLINE W field(W w) {
    return {field_of<Shift, Mask>(w.a), field_of<Shift, Mask>(w.b), field_of<Shift, Mask>(w.c),
            field_of<Shift, Mask>(w.d)};
  }
  template <int Shift>
  FEWBIT_INLINE W left(W w) {
    return {vshlq_n_u8(w.a, Shift), vshlq_n_u8(w.b, Shift), vshlq_n_u8(w.c, Shift),
            vshlq_n_u8(w.d, Shift)};
  }
  FEWBIT_INLINE W merge(W x, W y) {
    return {vorrq_u8(x.a, y.a), vorrq_u8(x.b, y.b), vorrq_u8(x.c, y.c), vorrq_u8(x.d, y.d)};
  }
  FEWBIT_INLINE I set(int32_t x) {
    const int32x4_t all = vdupq_n_s32(x);
    return {all, all, all, all};
  }

  FEWBIT_INLINE int8x16_t four_to_all(const int8_t* x) {
    int32_t four;
    __builtin_memcpy(&four, x, 4);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
  template <int Bits>
  FEWBIT_INLINE I dp(I sum, W w, const int8_t* x) {
    const int8x16_t all = four_to_all(x);
#if defined(FEWBIT_HAS_I8MM)
    return {vusdotq_s32(sum.a, w.a, all), vusdotq_s32(sum.b, w.b, all),
            vusdotq_s32(sum.c, w.c, all), vusdotq_s32(sum.d, w.d, all)};
#else
    if constexpr (Bits == 8) {
      const uint8x16_t top = vdupq_n_u8(0x80);
      w = {veorq_u8(w.a, top), veorq_u8(w.b, top), veorq_u8(w.c, top), veorq_u8(w.d, top)};
      const int8x16_t half = vdupq_n_s8(64);
      const int32x4_t back = vdotq_s32(vdotq_s32(vdupq_n_s32(0), half, all), half, all);
      sum = {vaddq_s32(sum.a, back), vaddq_s32(sum.b, back), vaddq_s32(sum.c, back),
             vaddq_s32(sum.d, back)};
    }
    return {vdotq_s32(sum.a, signed_bytes(w.a), all), vdotq_s32(sum.b, signed_bytes(w.b), all),
            vdotq_s32(sum.c, signed_bytes(w.c), all), vdotq_s32(sum.d, signed_bytes(w.d), all)};
#endif
  }

  FEWBIT_INLINE F to_float(I x) {
    return {vcvtq_f32_s32(x.a), vcvtq_f32_s32(x.b), vcvtq_f32_s32(x.c), vcvtq_f32_s32(x.d)};
  }
  FEWBIT_INLINE F splat(float x) {
    const float32x4_t all = vdupq_n_f32(x);
    return {all, all, all, all};
  }
  FEWBIT_INLINE float32x4_t four_halves(const uint8_t* p) {
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
  }
  FEWBIT_INLINE F load_half(const uint8_t* p) {
    return {four_halves(p), four_halves(p + 8), four_halves(p + 16), four_halves(p + 24)};
  }
  FEWBIT_INLINE float32x4_t four_floats(const uint8_t* p) {
    return vreinterpretq_f32_u8(vld1q_u8(p));
  }
  FEWBIT_INLINE F load_float(const uint8_t* p) {
    return {four_floats(p), four_floats(p + 16), four_floats(p + 32), four_floats(p + 48)};
  }
  FEWBIT_INLINE F load_floats(const float* p) {
    return load_float(reinterpret_cast<const uint8_t*>(p));
  }
  FEWBIT_INLINE F add_product(F sum, F x, F y) {
    return {vfmaq_f32(sum.a, x.a, y.a), vfmaq_f32(sum.b, x.b, y.b), vfmaq_f32(sum.c, x.c, y.c),
            vfmaq_f32(sum.d, x.d, y.d)};
  }
  FEWBIT_INLINE F scale(F x, float s) {
    return multiply(x, splat(s));
  }
  FEWBIT_INLINE F multiply(F x, F y) {
    return {vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b), vmulq_f32(x.c, y.c), vmulq_f32(x.d, y.d)};
  }
  FEWBIT_INLINE float32x4_t inverse_or_zero_of(float32x4_t x) {
    const uint32x4_t usable = vcgeq_f32(x, vdupq_n_f32(0x1p-126F));
    const float32x4_t inverse = vdivq_f32(vdupq_n_f32(1), x);
    return vreinterpretq_f32_u32(vandq_u32(usable, vreinterpretq_u32_f32(inverse)));
  }
  FEWBIT_INLINE F inverse_or_zero(F x) {
    return {inverse_or_zero_of(x.a), inverse_or_zero_of(x.b), inverse_or_zero_of(x.c),
            inverse_or_zero_of(x.d)};
  }

  // Tables: TBL reads 16 bytes of one register, or 64 of four.
  using T = uint8x16x4_t;
  FEWBIT_INLINE W byte_table(const uint8_t* levels) {
    const uint8x16_t all = vld1q_u8(levels);
    return {all, all, all, all};
  }
  FEWBIT_INLINE W lookup(W table, W codes) {
    return {vqtbl1q_u8(table.a, codes.a), vqtbl1q_u8(table.b, codes.b),
            vqtbl1q_u8(table.c, codes.c), vqtbl1q_u8(table.d, codes.d)};
  }
  FEWBIT_INLINE T float_table(const float* levels) {
    const W all = load(reinterpret_cast<const uint8_t*>(levels));
    return {{all.a, all.b, all.c, all.d}};
  }
  template <int Shift>
  FEWBIT_INLINE float32x4_t permute_of(const T& table, uint8x16_t w) {
    const uint32x4_t shifted =
        Shift == 0 ? words(w) : vshrq_n_u32(words(w), Shift == 0 ? 1 : Shift);
    const uint32x4_t code = Shift == 28 ? shifted : vandq_u32(shifted, vdupq_n_u32(15));
    // The four bytes of float number `code`.
    const uint32x4_t index = vmlaq_u32(vdupq_n_u32(0x03020100), code, vdupq_n_u32(0x04040404));
    return vreinterpretq_f32_u8(vqtbl4q_u8(table, bytes(index)));
  }
  /// Levels of the codes of `Bits` bits at bit Shift of each lane.
  template <int Shift, int Bits>
  FEWBIT_INLINE F permute(const T& table, W w) {
    return {permute_of<Shift>(table, w.a), permute_of<Shift>(table, w.b),
            permute_of<Shift>(table, w.c), permute_of<Shift>(table, w.d)};
  }
  template <int Byte>
  FEWBIT_INLINE uint32x4_t byte_of(uint8x16_t w) {
    const uint32x4_t shifted =
        Byte == 0 ? words(w) : vshrq_n_u32(words(w), Byte == 0 ? 1 : 8 * Byte);
    return Byte == 3 ? shifted : vandq_u32(shifted, vdupq_n_u32(0xff));
  }
  template <int Byte>
  FEWBIT_INLINE float32x4_t byte_as_float_of(uint8x16_t w) {
    const int32x4_t lanes = vreinterpretq_s32_u8(w);
    return vcvtq_f32_s32(vshrq_n_s32(vshlq_n_s32(lanes, 24 - 8 * Byte), 24));
  }
  /// Signed.
  template <int Byte>
  FEWBIT_INLINE F byte_as_float(W w) {
    return {byte_as_float_of<Byte>(w.a), byte_as_float_of<Byte>(w.b), byte_as_float_of<Byte>(w.c),
            byte_as_float_of<Byte>(w.d)};
  }

  // Expansion.
  FEWBIT_INLINE I round(F x) {
    return {vcvtnq_s32_f32(x.a), vcvtnq_s32_f32(x.b), vcvtnq_s32_f32(x.c), vcvtnq_s32_f32(x.d)};
  }
  FEWBIT_INLINE I pair_of(I low, I high) {
    return {vsliq_n_s32(low.a, high.a, 16), vsliq_n_s32(low.b, high.b, 16),
            vsliq_n_s32(low.c, high.c, 16), vsliq_n_s32(low.d, high.d, 16)};
  }
  template <int Byte>
  FEWBIT_INLINE int32x4_t with_byte_of(uint8x16_t w, int32x4_t high) {
    return vorrq_s32(vreinterpretq_s32_u32(byte_of<Byte>(w)), high);
  }
  /// The Byte-th byte of each lane below the high halves of `high`.
  template <int Byte>
  FEWBIT_INLINE I with_byte(W w, I high) {
    return {with_byte_of<Byte>(w.a, high.a), with_byte_of<Byte>(w.b, high.b),
            with_byte_of<Byte>(w.c, high.c), with_byte_of<Byte>(w.d, high.d)};
  }
  FEWBIT_INLINE int32x4_t madd_of(int32x4_t x, int32x4_t y) {
    const int16x8_t p = vreinterpretq_s16_s32(x), q = vreinterpretq_s16_s32(y);
    return vpaddq_s32(vmull_s16(vget_low_s16(p), vget_low_s16(q)), vmull_high_s16(p, q));
  }
  FEWBIT_INLINE I madd(I x, I y) {
    return {madd_of(x.a, y.a), madd_of(x.b, y.b), madd_of(x.c, y.c), madd_of(x.d, y.d)};
  }
  template <int Byte, int Shift>
  FEWBIT_INLINE uint8x16_t place_of(int32x4_t x) {
    constexpr int kLeft = 8 * Byte - Shift;
    const uint32x4_t all = vreinterpretq_u32_s32(x);
    const uint32x4_t moved = kLeft >= 0 ? vshlq_n_u32(all, kLeft < 0 ? 0 : kLeft)
                                        : vshrq_n_u32(all, kLeft < 0 ? -kLeft : 1);
    return bytes(vandq_u32(moved, vdupq_n_u32(0xffU << 8 * Byte)));
  }
  /// Bits Shift .. Shift + 7 as the Byte-th byte, the others 0.
  template <int Byte, int Shift>
  FEWBIT_INLINE W place(I x) {
    return {place_of<Byte, Shift>(x.a), place_of<Byte, Shift>(x.b), place_of<Byte, Shift>(x.c),
            place_of<Byte, Shift>(x.d)};
  }
  template <int Shift>
  FEWBIT_INLINE int16x8_t widen(int8x8_t x) {
    return vshlq_n_s16(vmovl_s8(x), Shift);
  }
  template <int Shift>
  FEWBIT_INLINE uint8x16_t scale_bytes_of(uint8x16_t w, int32x4_t factors) {
    // A lane's factor for each of its four bytes.
    const int16x8_t low = vreinterpretq_s16_s32(vzip1q_s32(factors, factors));
    const int16x8_t high = vreinterpretq_s16_s32(vzip2q_s32(factors, factors));
    const int8x16_t x = signed_bytes(w);
    return vuzp1q_u8(vreinterpretq_u8_s16(vqrdmulhq_s16(widen<Shift>(vget_low_s8(x)), low)),
                     vreinterpretq_u8_s16(vqrdmulhq_s16(widen<Shift>(vget_high_s8(x)), high)));
  }
  /// Signed bytes times 16-bit factors (each lane's twice) over 2^(15 - Shift), rounded.
  template <int Shift>
  FEWBIT_INLINE W scale_bytes(W w, I factors) {
    return {scale_bytes_of<Shift>(w.a, factors.a), scale_bytes_of<Shift>(w.b, factors.b),
            scale_bytes_of<Shift>(w.c, factors.c), scale_bytes_of<Shift>(w.d, factors.d)};
  }
  FEWBIT_INLINE W add_to_bytes(W w, int add) {
    const uint8x16_t all = vdupq_n_u8(static_cast<uint8_t>(add));
    return {vaddq_u8(w.a, all), vaddq_u8(w.b, all), vaddq_u8(w.c, all), vaddq_u8(w.d, all)};
  }
  FEWBIT_INLINE void store_line(uint8_t* p, W w) {
    vst1q_u8(p, w.a);
    vst1q_u8(p + 16, w.b);
    vst1q_u8(p + 32, w.c);
    vst1q_u8(p + 48, w.d);
  }

  // Blocks of many rows: sixteen registers of sums.
  static constexpr int kBlockRows = 4;
  static constexpr int kBlockPanels = 1;

  FEWBIT_INLINE void store(float* p, F x) {
    vst1q_f32(p, x.a);
    vst1q_f32(p + 4, x.b);
    vst1q_f32(p + 8, x.c);
    vst1q_f32(p + 12, x.d);
  }
  FEWBIT_INLINE void prefetch(const uint8_t* p, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i);
  }
};

// Expanded weights are signed bytes here (Row::byte_zero = 0), which SDOT takes as they are.
struct VecNeonBytes : VecNeon {
  template <int Bits>
  FEWBIT_INLINE I dp(I sum, W w, const int8_t* x) {
    const int8x16_t all = four_to_all(x);
    return {vdotq_s32(sum.a, signed_bytes(w.a), all), vdotq_s32(sum.b, signed_bytes(w.b), all),
            vdotq_s32(sum.c, signed_bytes(w.c), all), vdotq_s32(sum.d, signed_bytes(w.d), all)};
  }
};

#undef FEWBIT_INLINE

}  // namespace
}  // namespace fewbit::few_bit
