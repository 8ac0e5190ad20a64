#pragma once
// How much memory this process has used.

#include <cstdint>

namespace fewbit {

/// Largest resident set of this process until now, in bytes; 0 where the system does not tell.
int64_t peak_rss_bytes();

}  // namespace fewbit
