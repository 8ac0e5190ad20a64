#include "formats/level_kernels.h"

#include "formats/isa_rows.h"

namespace fewbit::formats {

std::span<const LevelKernels> level_kernel_table() {
#if defined(__x86_64__)
  static const std::array rows = {level_kernels_base(), level_kernels_avx2(),
                                  level_kernels_avx512()};
#else
  static const std::array rows = {level_kernels_base()};
#endif
  return rows;
}

const LevelKernels& level_kernels() {
  static const LevelKernels& best = last_that_runs(level_kernel_table());
  return best;
}

}  // namespace fewbit::formats
