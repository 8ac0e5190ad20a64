#include "base/threads.h"

#include <omp.h>

namespace fewbit {

int num_threads() {
  return omp_get_max_threads();
}

void set_threads(int threads) {
  omp_set_num_threads(threads > 0 ? threads : omp_get_num_procs());
}

}  // namespace fewbit
