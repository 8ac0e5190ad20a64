#include "eval/memory_bandwidth.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <vector>

#include "base/huge_buffer.h"
#include "eval/latency.h"

namespace fewbit {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kLine = 64;
constexpr int64_t kBufferBytes = int64_t{512} << 20;

// Four 16-byte sums: nothing here is slower than memory.
using Words = uint64_t __attribute__((vector_size(16)));

inline void add_line(const std::byte* line, Words (&sums)[4]) {
  Words words[4];
  std::memcpy(words, line, sizeof(words));
  for (int i = 0; i < 4; ++i) sums[i] += words[i];
}

// Reads [begin, end) as so many streams side by side.
template <int Streams>
uint64_t walk(const std::byte* begin, int64_t bytes, int64_t prefetch_bytes) {
  Words sums[4] = {};
  const int64_t each = bytes / Streams / kLine * kLine;
  for (int64_t at = 0; at < each; at += kLine) {
    for (int s = 0; s < Streams; ++s) {
      const std::byte* line = begin + s * each + at;
      // An address past the end is only asked for, never read.
      __builtin_prefetch(line + prefetch_bytes);
      add_line(line, sums);
    }
  }
  return sums[0][0] + sums[1][0] + sums[2][0] + sums[3][0];
}

double rate_of(const std::byte* buffer, int threads, int streams, int64_t prefetch_bytes) {
  const int64_t each = kBufferBytes / threads / kLine * kLine;
  volatile uint64_t sink = 0;
  const Clock::time_point start = Clock::now();
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int t = 0; t < threads; ++t) {
    const std::byte* begin = buffer + t * each;
    sink =
        streams == 1 ? walk<1>(begin, each, prefetch_bytes) : walk<4>(begin, each, prefetch_bytes);
  }
  static_cast<void>(sink);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return static_cast<double>(each * threads) / seconds;
}

}  // namespace

const MemoryBandwidth& memory_bandwidth(int threads) {
  static std::map<int, MemoryBandwidth> known;
  if (auto found = known.find(threads); found != known.end()) return found->second;
  const Tensor buffer = huge_bytes(kBufferBytes);
  // Kernels are measured by the median, and so is their limit.
  constexpr int kRepeats = 5;
  MemoryBandwidth best;
  for (const int streams : {1, 4}) {
    for (const int64_t prefetch : {0, 512, 2048, 4096}) {
      std::vector<double> rates;
      for (int i = 0; i < kRepeats; ++i) {
        rates.push_back(rate_of(buffer.raw(), threads, streams, prefetch));
      }
      const double rate = median_interval(rates).median;
      if (rate > best.bytes_per_second) best = {rate, streams, prefetch};
    }
  }
  return known.emplace(threads, best).first->second;
}

}  // namespace fewbit
