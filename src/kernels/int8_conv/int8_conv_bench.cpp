// 8-bit convolutions of MobileNetV2 and the ResNets at batch 1, against oneDNN in the same run.
// Counters: us and peer_us (fastest of many runs in turn), ratio = peer_us / us, gops, and roof =
// fraction of the VPDPBUSD rate measured on this machine.
//
//   fewbit_kernels_bench --benchmark_filter=int8_conv
//
// The two `mobilenet_v2` rows add up the layers of the whole network, each as often as it occurs.

#include <benchmark/benchmark.h>
#include <omp.h>

#include "kernels/int8_conv/int8_bench_common.h"
#include "kernels/int8_conv/int8_conv.h"

namespace fewbit::bench {
namespace {

struct Layer {
  const char* name;
  int64_t size, in, out, kernel, stride, groups;
  int count;  ///< occurrences in the network
};

constexpr Layer kMobileNetV2[] = {
    {"3x3s2_3_32_at224", 224, 3, 32, 3, 2, 1, 1},
    {"dw3x3_32_at112", 112, 32, 32, 3, 1, 32, 1},
    {"1x1_32_16_at112", 112, 32, 16, 1, 1, 1, 1},
    {"1x1_16_96_at112", 112, 16, 96, 1, 1, 1, 1},
    {"dw3x3s2_96_at112", 112, 96, 96, 3, 2, 96, 1},
    {"1x1_96_24_at56", 56, 96, 24, 1, 1, 1, 1},
    {"1x1_24_144_at56", 56, 24, 144, 1, 1, 1, 2},
    {"dw3x3_144_at56", 56, 144, 144, 3, 1, 144, 1},
    {"1x1_144_24_at56", 56, 144, 24, 1, 1, 1, 1},
    {"dw3x3s2_144_at56", 56, 144, 144, 3, 2, 144, 1},
    {"1x1_144_32_at28", 28, 144, 32, 1, 1, 1, 1},
    {"1x1_32_192_at28", 28, 32, 192, 1, 1, 1, 3},
    {"dw3x3_192_at28", 28, 192, 192, 3, 1, 192, 2},
    {"1x1_192_32_at28", 28, 192, 32, 1, 1, 1, 2},
    {"dw3x3s2_192_at28", 28, 192, 192, 3, 2, 192, 1},
    {"1x1_192_64_at14", 14, 192, 64, 1, 1, 1, 1},
    {"1x1_64_384_at14", 14, 64, 384, 1, 1, 1, 4},
    {"dw3x3_384_at14", 14, 384, 384, 3, 1, 384, 4},
    {"1x1_384_64_at14", 14, 384, 64, 1, 1, 1, 3},
    {"1x1_384_96_at14", 14, 384, 96, 1, 1, 1, 1},
    {"1x1_96_576_at14", 14, 96, 576, 1, 1, 1, 3},
    {"dw3x3_576_at14", 14, 576, 576, 3, 1, 576, 2},
    {"1x1_576_96_at14", 14, 576, 96, 1, 1, 1, 2},
    {"dw3x3s2_576_at14", 14, 576, 576, 3, 2, 576, 1},
    {"1x1_576_160_at7", 7, 576, 160, 1, 1, 1, 1},
    {"1x1_160_960_at7", 7, 160, 960, 1, 1, 1, 3},
    {"dw3x3_960_at7", 7, 960, 960, 3, 1, 960, 3},
    {"1x1_960_160_at7", 7, 960, 160, 1, 1, 1, 2},
    {"1x1_960_320_at7", 7, 960, 320, 1, 1, 1, 1},
    {"1x1_320_1280_at7", 7, 320, 1280, 1, 1, 1, 1},
};

constexpr Layer kResNets[] = {
    {"7x7s2_3_64_at224", 224, 3, 64, 7, 2, 1, 1},
    {"3x3_64_64_at56", 56, 64, 64, 3, 1, 1, 1},
    {"1x1_256_64_at56", 56, 256, 64, 1, 1, 1, 1},
    {"1x1_64_256_at56", 56, 64, 256, 1, 1, 1, 1},
    {"3x3_128_128_at28", 28, 128, 128, 3, 1, 1, 1},
    {"1x1s2_256_512_at56", 56, 256, 512, 1, 2, 1, 1},
    {"3x3_256_256_at14", 14, 256, 256, 3, 1, 1, 1},
    {"1x1_1024_256_at14", 14, 1024, 256, 1, 1, 1, 1},
    {"3x3_512_512_at7", 7, 512, 512, 3, 1, 1, 1},
    {"1x1_2048_512_at7", 7, 2048, 512, 1, 1, 1, 1},
    {"3x3_16_16_at32", 32, 16, 16, 3, 1, 1, 1},
    {"dw5x5_240_at14", 14, 240, 240, 5, 1, 240, 1},
    {"dw5x5s2_672_at14", 14, 672, 672, 5, 2, 672, 1},
};

struct Measured {
  PairTime time;
  double gmacs;
};

Measured measure(const Layer& layer, int threads, double seconds) {
  const Int8ConvSpec spec =
      plain_spec(layer.in, layer.out, layer.kernel, layer.stride, layer.groups);
  Int8ConvShape shape;
  shape.in_h = shape.in_w = layer.size;
  shape.out_h = shape.out_w = conv_output_size(layer.size, layer.kernel, layer.stride, 1,
                                               layer.kernel / 2, layer.kernel / 2);
  const Tensor weights =
      random_bytes(layer.out * layer.in / layer.groups * layer.kernel * layer.kernel);
  const Tensor input = random_bytes(layer.size * layer.size * layer.in);
  Tensor output = Tensor::zeros(DType::kUint8, {shape.out_h * shape.out_w * layer.out});
  const std::vector<int32_t> bias(static_cast<size_t>(layer.out), 100);
  const Result<Int8Conv> conv = Int8Conv::prepare(spec, weights.raw(), bias);
  FEWBIT_CHECK(conv.ok(), conv.error().message());
  omp_set_num_threads(threads);
  const auto peer = dnnl_conv(spec, shape, weights, input);
  const auto ours = [&] { conv->run(shape, input.raw(), nullptr, output.raw(), threads); };
  const double macs = static_cast<double>(shape.out_h * shape.out_w * layer.out * layer.in /
                                          layer.groups * layer.kernel * layer.kernel);
  return {time_pair(ours, peer, seconds), macs / 1e9};
}

void report(benchmark::State& state, const PairTime& time, double gmacs, int threads) {
  static const double roof = vnni_gmacs();
  state.SetIterationTime(time.ours_us * 1e-6);
  state.counters["us"] = time.ours_us;
  state.counters["peer_us"] = time.peer_us;
  state.counters["ratio"] = time.peer_us / time.ours_us;
  state.counters["gops"] = 2 * gmacs / (time.ours_us * 1e-6);
  if (roof > 0) state.counters["roof"] = gmacs / (time.ours_us * 1e-6) / (roof * threads);
}

void run_layer(benchmark::State& state, const Layer& layer) {
  const int threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    const Measured m = measure(layer, threads, 0.1);
    report(state, m.time, m.gmacs, threads);
  }
}

void run_network(benchmark::State& state) {
  const int threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    PairTime sum = {0, 0};
    double gmacs = 0;
    for (const Layer& layer : kMobileNetV2) {
      const Measured m = measure(layer, threads, 0.05);
      sum.ours_us += layer.count * m.time.ours_us;
      sum.peer_us += layer.count * m.time.peer_us;
      gmacs += layer.count * m.gmacs;
    }
    report(state, sum, gmacs, threads);
  }
}

const bool kRegistered = [] {
  const auto add = [](const std::string& name, auto fn) {
    benchmark::RegisterBenchmark(("int8_conv/" + name).c_str(), fn)
        ->Arg(1)
        ->Arg(2)
        ->Iterations(1)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  };
  for (const Layer& l : kMobileNetV2) add(l.name, [&l](benchmark::State& s) { run_layer(s, l); });
  for (const Layer& l : kResNets) add(l.name, [&l](benchmark::State& s) { run_layer(s, l); });
  add("mobilenet_v2", run_network);
  return true;
}();

}  // namespace
}  // namespace fewbit::bench
