// Arrays in any container: npy, npz (stored and deflated), IDX, IDX in gzip; the input's first
// bytes choose. Every row of what opens is read.

#include "data/array_file.h"
#include "fuzz_target.h"

FEWBIT_FUZZ_TARGET(bytes) {
  const std::string path = fewbit::fuzz::as_file(bytes);
  for (const std::string name : {"", "x"}) {
    const auto array = fewbit::FileArray::open(path, name);
    if (!array.ok()) continue;
    const fewbit::Tensor whole = array->whole();
    // Copied, so that every byte of a view is read.
    FEWBIT_CHECK(whole.clone().identical(whole));
    if (array->dims().empty() || array->dims()[0] == 0) continue;
    (void)array->rows(array->dims()[0] - 1, 1);
  }
}
