// Weights a second that encode takes, with scale search, on all threads.

#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "formats/format.h"

namespace fewbit {
namespace {

constexpr int64_t kRows = 4096;
constexpr int64_t kCols = 4096;

const std::vector<float>& weights() {
  static const std::vector<float> values = [] {
    std::vector<float> v(static_cast<size_t>(kRows * kCols));
    std::mt19937 generator(1);
    std::normal_distribution<float> normal(0, 0.02F);
    for (float& x : v) x = normal(generator);
    return v;
  }();
  return values;
}

void encode_format(benchmark::State& state, const Format& format) {
  const EncodeInput in{weights(), kRows, kCols, {}};
  for (auto _ : state) {
    Result<PackedMatrix> packed = encode(format, in);
    if (!packed.ok()) state.SkipWithError(packed.error().message().c_str());
    benchmark::DoNotOptimize(packed);
  }
  state.SetItemsProcessed(state.iterations() * kRows * kCols);
}

void decode_format(benchmark::State& state, const Format& format) {
  const EncodeInput in{weights(), kRows, kCols, {}};
  Result<PackedMatrix> packed = encode(format, in, {.search = false});
  if (!packed.ok()) return state.SkipWithError(packed.error().message().c_str());
  for (auto _ : state) benchmark::DoNotOptimize(decode(*packed));
  state.SetItemsProcessed(state.iterations() * kRows * kCols);
}

[[maybe_unused]] const bool registered = [] {
  for (const FormatRow* row : format_table()) {
    const std::string name(row->name);
    benchmark::RegisterBenchmark(("encode/" + name).c_str(), encode_format, default_format(*row))
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
    benchmark::RegisterBenchmark(("decode/" + name).c_str(), decode_format, default_format(*row))
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  }
  return true;
}();

}  // namespace
}  // namespace fewbit
