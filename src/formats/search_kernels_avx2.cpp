// search_kernels_impl.h for AVX2.

#if defined(__x86_64__)

#include <cstdint>
#include <cstring>

#include "formats/search_kernels.h"

#pragma GCC target("avx2")
namespace fewbit::formats {
namespace {
#include "formats/search_kernels_impl.h"
}  // namespace

SearchKernels search_kernels_avx2() {
  const bool runs_here = __builtin_cpu_supports("avx2") != 0;
  return kernels("avx2", runs_here);
}

}  // namespace fewbit::formats

#endif
