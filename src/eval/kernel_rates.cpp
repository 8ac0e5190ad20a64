#include "eval/kernel_rates.h"

#include <chrono>

#include "base/random.h"
#include "eval/latency.h"
#include "formats/format.h"
#include "kernels/few_bit/few_bit.h"

namespace fewbit {
namespace {

using Clock = std::chrono::steady_clock;

struct MatrixShape {
  int64_t n, k;
};
constexpr MatrixShape kShapes[] = {{4096, 4096}, {11008, 4096}, {2048, 2048}, {1536, 576}};
constexpr int64_t kRowCounts[] = {1, 4, 16, 512};
constexpr int64_t kManyRows = 64;  // from here on products, not memory, take the time

// What fills more than the caches hold.
constexpr int64_t kWalkedBytes = int64_t{600} << 20;
constexpr double kSecondsPerRow = 0.4;
constexpr int kLeastPasses = 5;

// One family of kernels: how a product is prepared and run.
struct Family {
  std::string_view name;
  std::vector<std::string_view> formats;
  Result<std::vector<KernelTiming>> (*run)(std::string_view format, const MatrixShape& shape,
                                           const std::vector<int64_t>& row_counts,
                                           const KernelLimits& limits, int threads);
};

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

void rate(KernelTiming& t, int64_t packed_bytes, const KernelLimits& limits) {
  const double weights = static_cast<double>(t.n) * static_cast<double>(t.k);
  t.weights_per_second = weights / t.seconds;
  t.bytes_per_second = static_cast<double>(packed_bytes) / t.seconds;
  t.ops_per_second = 2 * weights * static_cast<double>(t.m) / t.seconds;
  if (t.m < kManyRows) {
    t.limit = "memory";
    t.fraction = t.bytes_per_second / limits.memory.bytes_per_second;
  } else {
    t.limit = limits.machine.int8.instruction;
    t.fraction = t.ops_per_second / (2 * limits.machine.int8.macs_per_second);
  }
}

Result<std::vector<KernelTiming>> run_few_bit(std::string_view format, const MatrixShape& shape,
                                              const std::vector<int64_t>& row_counts,
                                              const KernelLimits& limits, int threads) {
  std::vector<float> w(static_cast<size_t>(shape.n * shape.k));
  Random(1).fill_normal(w, 0, 1);
  FEWBIT_ASSIGN(const Format parsed, parse_format(format));
  FEWBIT_ASSIGN(const PackedMatrix packed,
                encode(parsed, {w, shape.n, shape.k, {}}, {.search = false}));
  std::vector<FewBitGemm> gemms;
  FEWBIT_ASSIGN(FewBitGemm first, FewBitGemm::prepare(packed, {}));
  gemms.push_back(std::move(first));
  std::vector<KernelTiming> timings;
  for (const int64_t m : row_counts) {
    const int64_t copies = m < kManyRows ? kWalkedBytes / gemms[0].packed_bytes() + 1 : 1;
    while (static_cast<int64_t>(gemms.size()) < copies) gemms.push_back(gemms[0].duplicate());
    std::vector<float> x(static_cast<size_t>(m * shape.k)), y(static_cast<size_t>(m * shape.n));
    Random(2).fill_normal(x, 0, 1);
    KernelTiming t;
    t.family = "few_bit";
    t.format = format;
    t.isa = name_of(gemms[0].isa());
    t.m = m;
    t.n = shape.n;
    t.k = shape.k;
    t.threads = threads;
    t.seconds = seconds_of(copies, [&](int64_t i) {
      gemms[static_cast<size_t>(i)].run({.m = m, .x = x.data(), .y = y.data()}, threads);
    });
    rate(t, gemms[0].packed_bytes(), limits);
    timings.push_back(std::move(t));
  }
  return timings;
}

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {"few_bit",
       {"int8/g32", "int6/g32", "int5/g32", "int4/g32", "int4/g128", "uint4/g32", "int4/g32:u6",
        "int3/g32", "int2/g32", "int2/g64", "ternary"},
       run_few_bit},
  };
  return all;
}

}  // namespace

Result<KernelBench> bench_kernels(const KernelBenchOptions& options,
                                  const std::function<void(const std::string&)>& progress) {
  KernelBench bench;
  for (const Family& family : families()) {
    for (const std::string_view format : family.formats) {
      for (const MatrixShape& shape : kShapes) {
        const auto name = [&](int64_t m) {
          return fmt::format("{}/{}/{}x{}x{}", family.name, format, m, shape.n, shape.k);
        };
        std::vector<int64_t> rows;
        for (const int64_t m : kRowCounts) {
          if (name(m).find(options.filter) != std::string::npos) rows.push_back(m);
        }
        if (rows.empty()) continue;
        if (bench.rows.empty()) {
          progress("limits of the machine");
          bench.limits = {memory_bandwidth(options.threads), machine_limits(options.threads)};
        }
        progress(name(rows.front()));
        FEWBIT_ASSIGN(std::vector<KernelTiming> timings,
                      family.run(format, shape, rows, bench.limits, options.threads));
        bench.rows.insert(bench.rows.end(), timings.begin(), timings.end());
      }
    }
  }
  if (bench.rows.empty())
    return misuse("--filter {}: no kernel has that in its name", options.filter);
  return bench;
}

}  // namespace fewbit
