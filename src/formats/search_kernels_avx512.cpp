// search_kernels_impl.h for AVX-512.

#if defined(__x86_64__)

#include <cstdint>
#include <cstring>

#include "formats/search_kernels.h"

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
namespace fewbit::formats {
namespace {
#include "formats/search_kernels_impl.h"
}  // namespace

SearchKernels search_kernels_avx512() {
  const bool runs_here = __builtin_cpu_supports("avx512bw") != 0 &&
                         __builtin_cpu_supports("avx512dq") != 0 &&
                         __builtin_cpu_supports("avx512vl") != 0;
  return kernels("avx512", runs_here);
}

}  // namespace fewbit::formats

#endif
