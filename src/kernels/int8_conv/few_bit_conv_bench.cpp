// Convolutions whose weights lie in few bits against the same ones with int8 weights, in turn.
// Counters: us and int8_us (fastest of many runs), ratio = us / int8_us.
//
//   fewbit_kernels_bench --benchmark_filter=few_bit_conv

#include <benchmark/benchmark.h>

#include "kernels/int8_conv/int8_bench_common.h"
#include "kernels/int8_conv/int8_conv.h"

namespace fewbit::bench {
namespace {

struct Layer {
  const char* name;
  int64_t size, in, out, kernel, stride;
};

constexpr Layer kLayers[] = {
    {"3x3_64_64_at56", 56, 64, 64, 3, 1},       {"3x3_128_128_at28", 28, 128, 128, 3, 1},
    {"3x3_256_256_at14", 14, 256, 256, 3, 1},   {"3x3_512_512_at7", 7, 512, 512, 3, 1},
    {"1x1_256_64_at56", 56, 256, 64, 1, 1},     {"1x1_96_24_at56", 56, 96, 24, 1, 1},
    {"1x1_1024_256_at14", 14, 1024, 256, 1, 1}, {"1x1_320_1280_at7", 7, 320, 1280, 1, 1},
    {"1x1_2048_512_at7", 7, 2048, 512, 1, 1},   {"7x7s2_3_64_at224", 224, 3, 64, 7, 2},
};

Int8Conv prepare(const Layer& layer, const std::vector<int8_t>& weights, bool few_bits) {
  Int8ConvSpec spec = plain_spec(layer.in, layer.out, layer.kernel, layer.stride, 1);
  spec.few_bits = few_bits;
  Result<Int8Conv> conv = Int8Conv::prepare(spec, weights.data(), {});
  FEWBIT_CHECK(conv.ok(), conv.error().message());
  return *conv;
}

void run_layer(benchmark::State& state, const Layer& layer, int bits) {
  const int threads = static_cast<int>(state.range(0));
  std::vector<int8_t> weights(
      static_cast<size_t>(layer.out * layer.in * layer.kernel * layer.kernel));
  std::mt19937 random(1);
  for (int8_t& w : weights) {
    const int code = static_cast<int>(random() >> 8) & ((1 << bits) - 1);
    w = static_cast<int8_t>(bits == 1 ? 2 * code - 1 : code - (1 << (bits - 1)));
  }
  Int8ConvShape shape;
  shape.in_h = shape.in_w = layer.size;
  shape.out_h = shape.out_w = conv_output_size(layer.size, layer.kernel, layer.stride, 1,
                                               layer.kernel / 2, layer.kernel / 2);
  const Tensor input = random_bytes(layer.size * layer.size * layer.in);
  Tensor output = Tensor::zeros(DType::kUint8, {shape.out_h * shape.out_w * layer.out});
  const Int8Conv few = prepare(layer, weights, true), eight = prepare(layer, weights, false);
  const auto run = [&](const Int8Conv& conv) {
    return [&] { conv.run(shape, input.raw(), nullptr, output.raw(), threads); };
  };
  for (auto _ : state) {
    const PairTime time = time_pair(run(few), run(eight), 0.3);
    state.SetIterationTime(time.ours_us * 1e-6);
    state.counters["us"] = time.ours_us;
    state.counters["int8_us"] = time.peer_us;
    state.counters["ratio"] = time.ours_us / time.peer_us;
    state.counters["bits"] = few.weight_bits();
  }
}

const bool kRegistered = [] {
  for (const int bits : {4, 3, 2, 1}) {
    for (const Layer& l : kLayers) {
      benchmark::RegisterBenchmark(fmt::format("few_bit_conv/w{}/{}", bits, l.name).c_str(),
                                   [&l, bits](benchmark::State& s) { run_layer(s, l, bits); })
          ->Arg(1)
          ->Arg(2)
          ->Iterations(1)
          ->UseManualTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
  return true;
}();

}  // namespace
}  // namespace fewbit::bench
