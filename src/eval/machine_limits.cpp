#include "eval/machine_limits.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <vector>

#include "base/tensor.h"

namespace fewbit {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kTargetSeconds = 5e-4;  // long against a timer, short against a scheduler's slice
constexpr int kRepeats = 30;             // the best counts: others have been disturbed

double seconds_of(int threads, const std::function<void(int)>& work) {
  double longest = 0;
#pragma omp parallel num_threads(threads) reduction(max : longest)
  {
#pragma omp barrier
    const Clock::time_point start = Clock::now();
#pragma omp for schedule(static, 1) nowait
    for (int t = 0; t < threads; ++t) work(t);
    longest = std::chrono::duration<double>(Clock::now() - start).count();
  }
  return longest;
}

// Rounds per second of all threads together.
double best_rate(int threads, const std::function<void(int, int64_t)>& work) {
  int64_t rounds = 1;
  double seconds = 0;
  do {
    rounds *= 4;
    seconds = seconds_of(threads, [&](int t) { work(t, rounds); });
  } while (seconds < kTargetSeconds / 4);
  rounds = std::max<int64_t>(
      1, static_cast<int64_t>(static_cast<double>(rounds) * kTargetSeconds / seconds));
  double best = 0;
  for (int i = 0; i < kRepeats; ++i) {
    seconds = seconds_of(threads, [&](int t) { work(t, rounds); });
    best = std::max(best, static_cast<double>(rounds) * threads / seconds);
  }
  return best;
}

uint64_t sum_of(const uint64_t* words, size_t count) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 8 <= count; i += 8) {
    for (size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
  }
  uint64_t sum = 0;
  for (uint64_t s : sums) sum += s;
  return sum;
}

template <class Limits>
auto& peak_of(Limits& limits, KernelArithmetic arithmetic) {
  switch (arithmetic) {
    case KernelArithmetic::kInt8:
      return limits.int8;
    case KernelArithmetic::kFloat32:
      return limits.float32;
    case KernelArithmetic::kBfloat16:
      return limits.bfloat16;
    case KernelArithmetic::kBinary:
      break;
  }
  return limits.binary;
}

}  // namespace

const MachinePeak& MachineLimits::of(KernelArithmetic arithmetic) const {
  return peak_of(*this, arithmetic);
}

const MachineLimits& machine_limits(int threads) {
  static std::map<int, MachineLimits> known;
  auto found = known.find(threads);
  if (found != known.end()) return found->second;
  MachineLimits limits;
  limits.threads = threads;
  for (const PeakRow& row : peak_table()) {
    if (!isa_runs_here(row.isa) || (row.has_more != nullptr && !row.has_more())) continue;
    const double rate = best_rate(threads, [&](int, int64_t rounds) { row.loop(rounds); }) *
                        static_cast<double>(row.macs_per_round);
    MachinePeak& peak = peak_of(limits, row.arithmetic);
    if (rate > peak.macs_per_second) peak = {rate, row.instruction};
  }
  if (limits.bfloat16.macs_per_second == 0) limits.bfloat16 = limits.float32;
  return known.emplace(threads, limits).first->second;
}

double read_bandwidth(int threads, int64_t buffer_bytes) {
  const int64_t bytes = std::clamp<int64_t>(buffer_bytes, 64 << 10, 256 << 20);
  const Tensor buffer = Tensor::zeros(DType::kUint8, {bytes});
  const auto* words = buffer.data<uint64_t>();
  const auto words_each =
      static_cast<size_t>(bytes) / sizeof(uint64_t) / static_cast<size_t>(threads);
  volatile uint64_t sink = 0;
  const double rate = best_rate(threads, [&](int t, int64_t rounds) {
    uint64_t sum = 0;
    for (int64_t r = 0; r < rounds; ++r) {
      sum += sum_of(words + static_cast<size_t>(t) * words_each, words_each);
      asm volatile("" : "+r"(sum) : : "memory");
    }
    if (sum != 0) sink = sum;
  });
  static_cast<void>(sink);
  return rate * static_cast<double>(words_each * sizeof(uint64_t));
}

}  // namespace fewbit
