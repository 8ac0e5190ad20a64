#include "numerics/half.h"

#include <array>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fewbit {
namespace {

void from_float_scalar(const float* in, Half* out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = Half::from_float(in[i]);
}
void to_float_scalar(const Half* in, float* out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = in[i].to_float();
}

#if defined(__x86_64__)
// Every processor with AVX2 has F16C.
__attribute__((target("avx2,f16c"))) void from_float_f16c(const float* in, Half* out,
                                                          size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
  }
  from_float_scalar(in + i, out + i, count - i);
}
__attribute__((target("avx2,f16c"))) void to_float_f16c(const Half* in, float* out, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(half));
  }
  to_float_scalar(in + i, out + i, count - i);
}

// Masked, because g++ 12 takes the unmasked intrinsics to read an uninitialized register.
constexpr __mmask16 kAllLanes = 0xffff;

__attribute__((target("avx512f"))) void from_float_avx512(const float* in, Half* out,
                                                          size_t count) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    _mm256_storeu_si256(
        reinterpret_cast<__m256i*>(out + i),
        _mm512_maskz_cvtps_ph(kAllLanes, _mm512_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
  }
  from_float_scalar(in + i, out + i, count - i);
}
__attribute__((target("avx512f"))) void to_float_avx512(const Half* in, float* out, size_t count) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + i));
    _mm512_storeu_ps(out + i, _mm512_maskz_cvtph_ps(kAllLanes, half));
  }
  to_float_scalar(in + i, out + i, count - i);
}
#endif

const internal::HalfConversion& fastest() {
  static const internal::HalfConversion* const chosen = [] {
    const internal::HalfConversion* last = nullptr;
    for (const auto& row : internal::half_conversions()) {
      if (row.runs_here) last = &row;
    }
    return last;
  }();
  return *chosen;
}

}  // namespace

std::span<const internal::HalfConversion> internal::half_conversions() {
  static const std::array kRows = {
    HalfConversion{"scalar", true, from_float_scalar, to_float_scalar},
#if defined(__x86_64__)
    HalfConversion{"f16c", __builtin_cpu_supports("avx2") != 0, from_float_f16c, to_float_f16c},
    HalfConversion{"avx512", __builtin_cpu_supports("avx512f") != 0, from_float_avx512,
                   to_float_avx512},
#endif
  };
  return kRows;
}

void to_half(std::span<const float> in, std::span<Half> out) {
  FEWBIT_CHECK(in.size() == out.size(), in.size(), out.size());
  fastest().from_float(in.data(), out.data(), in.size());
}

void to_float(std::span<const Half> in, std::span<float> out) {
  FEWBIT_CHECK(in.size() == out.size(), in.size(), out.size());
  fastest().to_float(in.data(), out.data(), in.size());
}

}  // namespace fewbit
