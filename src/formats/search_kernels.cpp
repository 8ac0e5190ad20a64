#include "formats/search_kernels.h"

#include "formats/isa_rows.h"

namespace fewbit::formats {

std::span<const SearchKernels> search_kernel_table() {
#if defined(__x86_64__)
  static const std::array rows = {search_kernels_base(), search_kernels_avx2(),
                                  search_kernels_avx512()};
#else
  static const std::array rows = {search_kernels_base()};
#endif
  return rows;
}

const SearchKernels& search_kernels() {
  static const SearchKernels& best = last_that_runs(search_kernel_table());
  return best;
}

}  // namespace fewbit::formats
