// Formats with learned or chosen levels: weights encoded per second of processor time, which does
// not depend on what else the machine does (n free cores encode n times as many), and what they
// reach: bits per weight and relative squared error, in thousandths, on normal weights and on
// Student's t(4).
//
//   fewbit_formats_bench --benchmark_filter=encode

#include <benchmark/benchmark.h>

#include <array>
#include <string>
#include <vector>

#include "formats/format.h"
#include "formats/weight_sources.h"

namespace fewbit {
namespace {

constexpr int64_t kRows = 1024;
constexpr int64_t kCols = 4096;

constexpr std::array kFormats = {
    "sherry1.25",     "sherry1.25/channel",
    "codebook2",      "codebook3",
    "codebook4",      "codebook2/g128",
    "codebook4/g256", "codebook4/tensor",
    "dual3",          "dual4",
    "dual4/g16",      "dual4/g64",
    "vq2_1x6",        "vq2_1x8",
    "vq4_1x8",        "vq4_2x8",
    "vq8_1x8",        "vq8_2x8",
    "vq8_3x8",        "vq4_1x8/g64",
};

double error_on(const Format& format, const std::vector<float>& values, int64_t rows) {
  const std::vector<float> decoded = decode(*encode(format, {values, rows, kCols, {}}));
  double error = 0;
  double power = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double d = static_cast<double>(values[i]) - decoded[i];
    error += d * d;
    power += static_cast<double>(values[i]) * values[i];
  }
  return error / power;
}

void run(benchmark::State& state, bool weighted) {
  const Format format = *parse_format(kFormats[static_cast<size_t>(state.range(0))]);
  state.SetLabel(format.name());
  const std::vector<float> values = normal_values(kRows * kCols, 1);
  std::vector<float> importance;
  if (weighted) {
    importance = normal_values(kCols, 2);
    for (float& w : importance) w *= w;
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(encode(format, {values, kRows, kCols, importance}).ok());
  }
  state.SetItemsProcessed(state.iterations() * kRows * kCols);
  if (weighted) return;
  constexpr int64_t kErrorRows = 256;
  state.counters["bits"] = bits_per_weight(format, kRows, kCols);
  state.counters["normal"] =
      1000 * error_on(format, normal_values(kErrorRows * kCols, 3), kErrorRows);
  state.counters["t4"] = 1000 * error_on(format, student_values(kErrorRows * kCols, 4), kErrorRows);
}

void encode_alike(benchmark::State& state) {
  run(state, false);
}
void encode_weighted(benchmark::State& state) {
  run(state, true);
}

BENCHMARK(encode_alike)->DenseRange(0, kFormats.size() - 1)->MeasureProcessCPUTime();
BENCHMARK(encode_weighted)->DenseRange(0, kFormats.size() - 1)->MeasureProcessCPUTime();

}  // namespace
}  // namespace fewbit
