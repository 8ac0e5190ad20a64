#pragma once
// How a kernel walks memory fastest differs between processors: four streams side by side read a
// tenth more than one on some, and less on others; so does how far ahead lines are asked for. It is
// measured once on each machine, by the kernel itself, and kept in a file:
//
//   $FEWBIT_CACHE_DIR/streams.tsv, else $XDG_CACHE_HOME/fewbit, else $HOME/.cache/fewbit
//   one line each: processor, kernel, threads, streams, prefetch_bytes, separated by tabs
//
// Where no file can be written, every process measures anew. Results of kernels do not depend on
// it.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace fewbit {

struct StreamTuning {
  int streams = 1;             ///< places in memory that one thread reads at a time: 1 or 4
  int64_t prefetch_bytes = 0;  ///< how far ahead it asks for lines
  bool operator==(const StreamTuning&) const = default;
};

/// Bytes per second that the kernel reads from memory in this way.
using StreamTrial = std::function<double(const StreamTuning& tuning)>;

/// The fastest way for `kernel` ("few_bit/avx512_vnni") with so many threads: known to this
/// process, or from the file, or measured with `trial` (a few tenths of a second) and written
/// there. Any number of threads may ask.
StreamTuning tuned_streams(std::string_view kernel, int threads, const StreamTrial& trial);

/// The folder of the file; empty if there is none.
std::string tuning_folder();

}  // namespace fewbit
