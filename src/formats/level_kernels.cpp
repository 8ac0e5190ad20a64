#include "formats/level_kernels.h"

#include "formats/isa_rows.h"

namespace fewbit::formats {

std::span<const LevelKernels> level_kernel_table() {
  static const std::array<LevelKernels, 3> rows = {level_kernels_base(), level_kernels_avx2(),
                                                   level_kernels_avx512()};
  return rows;
}

const LevelKernels& level_kernels() {
  static const LevelKernels& best = last_that_runs(level_kernel_table());
  return best;
}

}  // namespace fewbit::formats
