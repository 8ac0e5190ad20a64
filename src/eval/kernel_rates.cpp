#include "eval/kernel_rates.h"

#include <chrono>

#include "base/random.h"
#include "eval/latency.h"
#include "formats/format.h"
#include "kernels/few_bit/few_bit.h"

namespace fewbit {
namespace {

using Clock = std::chrono::steady_clock;

// What fills more than the caches hold.
constexpr int64_t kWalkedBytes = int64_t{600} << 20;
constexpr double kSecondsPerRow = 0.4;
constexpr int kLeastPasses = 5;

// Seconds of one call of `work(i)`, i counting up, as the median over passes of `calls` calls.
double seconds_of(int64_t calls, const std::function<void(int64_t)>& work) {
  work(0);
  std::vector<double> passes;
  double total = 0;
  while (total < kSecondsPerRow || passes.size() < kLeastPasses) {
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < calls; ++i) work(i);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    total += seconds;
    passes.push_back(seconds / static_cast<double>(calls));
  }
  return median_interval(passes).median;
}

// What cycles through copies: all that takes at least a tenth of its time to read.
bool reads_from_memory(const KernelSample& sample, const KernelLimits& limits) {
  const double arithmetic = sample.ops / (2 * limits.machine.of(sample.arithmetic).macs_per_second);
  const double reading = static_cast<double>(sample.bytes) / limits.memory.bytes_per_second;
  return reading > 0.1 * arithmetic;
}

Result<KernelTiming> measure(std::string_view family, const KernelCase& kernel,
                             const KernelLimits& limits, int threads) {
  std::vector<KernelSample> samples;
  FEWBIT_ASSIGN(KernelSample first, kernel.prepare());
  samples.push_back(std::move(first));
  if (samples[0].bytes > 0 && reads_from_memory(samples[0], limits)) {
    const int64_t copies = kWalkedBytes / samples[0].bytes + 1;
    while (static_cast<int64_t>(samples.size()) < copies) samples.push_back(samples[0].duplicate());
  }
  KernelTiming t;
  t.family = family;
  t.format = kernel.format;
  t.shape = kernel.shape;
  t.isa = name_of(samples[0].isa);
  t.m = kernel.m;
  t.n = kernel.n;
  t.k = kernel.k;
  t.threads = threads;
  t.seconds = seconds_of(static_cast<int64_t>(samples.size()),
                         [&](int64_t i) { samples[static_cast<size_t>(i)].run(threads); });
  t.weights_per_second = static_cast<double>(t.n) * static_cast<double>(t.k) / t.seconds;
  t.bytes_per_second = static_cast<double>(samples[0].bytes) / t.seconds;
  t.ops_per_second = samples[0].ops / t.seconds;
  // The roofline: whichever of the two takes longer at its limit bounds the product.
  const MachinePeak& peak = limits.machine.of(samples[0].arithmetic);
  const double of_memory = t.bytes_per_second / limits.memory.bytes_per_second;
  const double of_peak = t.ops_per_second / (2 * peak.macs_per_second);
  t.limit = of_memory > of_peak ? "memory" : peak.instruction;
  t.fraction = std::max(of_memory, of_peak);
  return t;
}

}  // namespace

Result<KernelBench> bench_kernels(const KernelBenchOptions& options,
                                  const std::function<void(const std::string&)>& progress) {
  KernelBench bench;
  for (const KernelFamily& family : kernel_families()) {
    for (const KernelCase& kernel : family.cases()) {
      const std::string name = fmt::format("{}/{}/{}", family.name, kernel.format, kernel.shape);
      if (name.find(options.filter) == std::string::npos) continue;
      if (bench.rows.empty()) {
        progress("limits of the machine");
        bench.limits = {memory_bandwidth(options.threads), machine_limits(options.threads)};
      }
      progress(name);
      FEWBIT_ASSIGN(KernelTiming timing,
                    measure(family.name, kernel, bench.limits, options.threads));
      bench.rows.push_back(std::move(timing));
    }
  }
  if (bench.rows.empty())
    return misuse("--filter {}: no kernel has that in its name", options.filter);
  return bench;
}

}  // namespace fewbit
