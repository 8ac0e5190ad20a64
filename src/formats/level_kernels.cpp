#include "formats/level_kernels.h"

namespace fewbit::formats {

std::span<const LevelKernels> level_kernel_table() {
  static const std::array<LevelKernels, 3> rows = {level_kernels_base(), level_kernels_avx2(),
                                                   level_kernels_avx512()};
  return rows;
}

const LevelKernels& level_kernels() {
  static const LevelKernels& best = [&]() -> const LevelKernels& {
    const std::span<const LevelKernels> rows = level_kernel_table();
    size_t last = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].runs_here) last = i;
    }
    return rows[last];
  }();
  return best;
}

}  // namespace fewbit::formats
