#pragma once
// How many threads parallel regions use. One number for the whole program, kept in OpenMP.

namespace fewbit {

/// Threads that the next parallel region of this thread uses: OMP_NUM_THREADS if set, else the
/// processors this process may run on (affinity respected), until set_threads changes it.
int num_threads();

/// Sets that number for parallel regions started by the calling thread. 0 or less: back to the
/// processors available.
void set_threads(int threads);

}  // namespace fewbit
