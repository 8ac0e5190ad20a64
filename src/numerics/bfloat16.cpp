#include "numerics/bfloat16.h"

#include <array>

namespace fewbit {
namespace {

// One loop, compiled once per instruction set: the compiler's own vectors reach memory speed here.
#define FEWBIT_BFLOAT16_LOOPS(isa, attribute)                                           \
  attribute void from_float_##isa(const float* __restrict in, Bfloat16* __restrict out, \
                                  size_t count) {                                       \
    for (size_t i = 0; i < count; ++i) out[i] = Bfloat16::from_float(in[i]);            \
  }                                                                                     \
  attribute void to_float_##isa(const Bfloat16* __restrict in, float* __restrict out,   \
                                size_t count) {                                         \
    for (size_t i = 0; i < count; ++i) out[i] = in[i].to_float();                       \
  }

FEWBIT_BFLOAT16_LOOPS(baseline, )
#if defined(__x86_64__)
FEWBIT_BFLOAT16_LOOPS(avx2, __attribute__((target("avx2"))))
FEWBIT_BFLOAT16_LOOPS(avx512, __attribute__((target("avx512f,avx512bw,avx512vl"))))
#endif
#undef FEWBIT_BFLOAT16_LOOPS

const internal::Bfloat16Conversion& fastest() {
  static const internal::Bfloat16Conversion* const chosen = [] {
    const internal::Bfloat16Conversion* last = nullptr;
    for (const auto& row : internal::bfloat16_conversions()) {
      if (row.runs_here) last = &row;
    }
    return last;
  }();
  return *chosen;
}

}  // namespace

std::span<const internal::Bfloat16Conversion> internal::bfloat16_conversions() {
  static const std::array kRows = {
    Bfloat16Conversion{"baseline", true, from_float_baseline, to_float_baseline},
#if defined(__x86_64__)
    Bfloat16Conversion{"avx2", __builtin_cpu_supports("avx2") != 0, from_float_avx2, to_float_avx2},
    Bfloat16Conversion{
        "avx512",
        __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0,
        from_float_avx512, to_float_avx512},
#endif
  };
  return kRows;
}

void to_bfloat16(std::span<const float> in, std::span<Bfloat16> out) {
  FEWBIT_CHECK(in.size() == out.size(), in.size(), out.size());
  fastest().from_float(in.data(), out.data(), in.size());
}

void to_float(std::span<const Bfloat16> in, std::span<float> out) {
  FEWBIT_CHECK(in.size() == out.size(), in.size(), out.size());
  fastest().to_float(in.data(), out.data(), in.size());
}

}  // namespace fewbit
