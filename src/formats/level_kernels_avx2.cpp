// level_kernels_impl.h for AVX2.

#if defined(__x86_64__)

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "formats/level_kernels.h"

#pragma GCC target("avx2")
namespace fewbit::formats {
namespace {

// One instruction takes any 16 of 16 floats.
constexpr bool kPermutes = false;

#include "formats/level_kernels_impl.h"
}  // namespace

LevelKernels level_kernels_avx2() {
  const bool runs_here = __builtin_cpu_supports("avx2") != 0;
  return kernels("avx2", runs_here);
}

}  // namespace fewbit::formats

#endif
