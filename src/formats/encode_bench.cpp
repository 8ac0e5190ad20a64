// Weights a second that encode (with scale search; without and with importance) and decode take, on
// all threads. The errors they make: `fewbit formats`.
//
//   fewbit_formats_bench --benchmark_filter=encode/int

#include <benchmark/benchmark.h>

#include <vector>

#include "formats/format.h"
#include "formats/weight_sources.h"

namespace fewbit {
namespace {

constexpr int64_t kRows = 4096;
constexpr int64_t kCols = 4096;

const std::vector<float>& weights() {
  static const std::vector<float> values = normal_values(kRows * kCols, 1);
  return values;
}

void encode_format(benchmark::State& state, const Format& format, bool weighted) {
  std::vector<float> importance;
  if (weighted) {
    importance = normal_values(kCols, 2);
    for (float& w : importance) w *= w;
  }
  const EncodeInput in{weights(), kRows, kCols, importance};
  while (state.KeepRunning()) {
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
  while (state.KeepRunning()) benchmark::DoNotOptimize(decode(*packed));
  state.SetItemsProcessed(state.iterations() * kRows * kCols);
}

[[maybe_unused]] const bool registered = [] {
  for (const FormatRow* row : format_table()) {
    const std::string name(row->name);
    for (const bool weighted : {false, true}) {
      const std::string what = weighted ? "encode_weighted/" : "encode/";
      benchmark::RegisterBenchmark((what + name).c_str(), encode_format, default_format(*row),
                                   weighted)
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
    benchmark::RegisterBenchmark(("decode/" + name).c_str(), decode_format, default_format(*row))
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  }
  return true;
}();

}  // namespace
}  // namespace fewbit
