#include "base/memory_use.h"

#include <sys/resource.h>

namespace fewbit {

int64_t peak_rss_bytes() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return int64_t{usage.ru_maxrss} * 1024;  // Linux counts in KiB (getrusage(2))
}

}  // namespace fewbit
