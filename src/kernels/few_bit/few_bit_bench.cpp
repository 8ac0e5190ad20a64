// Few-bit products against the read bandwidth: weights are walked through in more matrices than the
// caches hold.

#include <benchmark/benchmark.h>
#include <omp.h>

#include <vector>

#include "base/random.h"
#include "kernels/few_bit/few_bit.h"

namespace fewbit {
namespace {

void run(benchmark::State& state, const char* format) {
  const auto m = state.range(0);
  const auto threads = static_cast<int>(state.range(1));
  constexpr int64_t n = 4096, k = 4096;
  std::vector<float> w(static_cast<size_t>(n * k)), x(static_cast<size_t>(m * k)),
      y(static_cast<size_t>(m * n));
  Random(1).fill_normal(w, 0, 1);
  Random(2).fill_normal(x, 0, 1);
  const PackedMatrix packed = *encode(*parse_format(format), {w, n, k, {}}, {.search = false});
  std::vector<FewBitGemm> gemms;
  int64_t bytes = 0;
  const int64_t wanted = m > 16 ? 1 : int64_t{900} << 20;
  do {
    gemms.push_back(*FewBitGemm::prepare(packed, {}));
    bytes += gemms.back().packed_bytes();
  } while (bytes < wanted);
  size_t i = 0;
  for (auto _ : state) {
    gemms[i++ % gemms.size()].run({.m = m, .x = x.data(), .y = y.data()}, threads);
  }
  state.counters["Gw/s"] = benchmark::Counter(static_cast<double>(n * k * m) * 1e-9,
                                              benchmark::Counter::kIsIterationInvariantRate);
  state.counters["GB/s"] = benchmark::Counter(static_cast<double>(gemms[0].packed_bytes()) * 1e-9,
                                              benchmark::Counter::kIsIterationInvariantRate);
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const char* format : {"int8/g32", "int4/g32", "int3/g64", "int2/g64", "int4/g128"}) {
    benchmark::RegisterBenchmark((std::string("few_bit/") + format).c_str(),
                                 [format](benchmark::State& s) { run(s, format); })
        ->ArgsProduct({{1, 4, 16, 512}, {1, 2}})
        ->UseRealTime();
  }
  return true;
}();

}  // namespace
}  // namespace fewbit
