#include "formats/search_kernels.h"

namespace fewbit::formats {

std::span<const SearchKernels> search_kernel_table() {
  static const std::array<SearchKernels, 3> rows = {search_kernels_base(), search_kernels_avx2(),
                                                    search_kernels_avx512()};
  return rows;
}

const SearchKernels& search_kernels() {
  static const SearchKernels& best = [&]() -> const SearchKernels& {
    const std::span<const SearchKernels> rows = search_kernel_table();
    size_t last = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].runs_here) last = i;
    }
    return rows[last];
  }();
  return best;
}

}  // namespace fewbit::formats
