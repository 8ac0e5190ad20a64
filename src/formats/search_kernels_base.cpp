// search_kernels_impl.h for any processor (SSE2 on x86-64).

#include <cstdint>
#include <cstring>

#include "formats/search_kernels.h"

namespace fewbit::formats {
namespace {
#include "formats/search_kernels_impl.h"
}  // namespace

SearchKernels search_kernels_base() {
  const bool runs_here = true;
  return kernels("base", runs_here);
}

}  // namespace fewbit::formats
