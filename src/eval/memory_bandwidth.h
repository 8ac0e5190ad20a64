#pragma once
// How fast this machine reads memory: what bounds a product of a matrix that no cache holds with
// one row.

#include <cstdint>

namespace fewbit {

struct MemoryBandwidth {
  double bytes_per_second = 0;
  int streams = 1;             ///< of the fastest walk: places that each thread reads at a time,
  int64_t prefetch_bytes = 0;  ///< and how far ahead it asked for lines
};

/// The fastest of several ways to walk 512 MiB on huge pages with `threads` threads, each through a
/// part of its own. Takes about a second the first time; kept for the process.
const MemoryBandwidth& memory_bandwidth(int threads);

}  // namespace fewbit
