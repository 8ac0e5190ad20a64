// Whole networks' convolutions at batch 1, in each activation layout: what the executor should
// carry between operators. README.md holds the finding.
#include <benchmark/benchmark.h>
#include <omp.h>

#include <vector>

#include "kernels/dnnl/dnnl.h"
#include "kernels/dnnl/float_nets.h"

namespace fewbit::bench {
namespace {

struct Step {
  DnnlConv conv;
  float* src;
  float* dst;
  bool residual;
};

DnnlConvSpec spec_of(const ConvLayer& layer, Layout layout) {
  DnnlConvSpec spec;
  spec.src_dims = {1, layer.in, layer.size, layer.size};
  spec.weight_dims = {layer.out, layer.in / layer.groups, layer.kernel, layer.kernel};
  spec.groups = layer.groups;
  spec.strides = {layer.stride, layer.stride};
  spec.pads_begin = {layer.pad_begin, layer.pad_begin};
  spec.pads_end = {layer.pad_end, layer.pad_end};
  // Blocked layouts take the three image channels as they come.
  spec.src_layout = layer.in == 3 && layout != Layout::kChannelsLast ? Layout::kPlain : layout;
  spec.dst_layout = layout;
  spec.post.add_residual = layer.residual;
  spec.post.activation = {UnaryOp::kClip, 0.0f, 6.0f};
  return spec;
}

void run_net(benchmark::State& state, Net (*make)(), Layout layout) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(static_cast<int>(state.range(0)));
  const Net net = make();
  std::vector<float> buffers[2];
  for (auto& b : buffers) b.assign(size_t{2} << 20, 0.25f);
  std::vector<Step> steps;
  double flops = 0;
  for (const ConvLayer& layer : net.layers) {
    const size_t count =
        static_cast<size_t>(layer.out) * (layer.in / layer.groups) * layer.kernel * layer.kernel;
    const std::vector<float> weights(count, 0.01f), bias(layer.out, 0.1f);
    auto conv = DnnlConv::create(spec_of(layer, layout), weights.data(), bias.data());
    if (!conv.ok()) return state.SkipWithError(conv.error().message().c_str());
    const auto& dims = conv->dst_dims();
    flops += 2.0 * static_cast<double>(count) * static_cast<double>(dims[2] * dims[3]);
    const size_t i = steps.size();
    steps.push_back(
        {std::move(*conv), buffers[i % 2].data(), buffers[(i + 1) % 2].data(), layer.residual});
  }
  for (auto _ : state)
    for (Step& s : steps) s.conv.execute(s.src, s.dst, s.residual ? s.dst : nullptr);
  state.counters["GFLOPS"] = benchmark::Counter(
      flops * 1e-9 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  omp_set_num_threads(before);
}

#define FEWBIT_NET(net)                                                       \
  BENCHMARK_CAPTURE(run_net, net##_channels_last, net, Layout::kChannelsLast) \
      ->ArgName("threads")                                                    \
      ->Arg(1)                                                                \
      ->Arg(2)                                                                \
      ->Unit(benchmark::kMicrosecond)                                         \
      ->UseRealTime();                                                        \
  BENCHMARK_CAPTURE(run_net, net##_blocked16c, net, Layout::kBlocked16c)      \
      ->ArgName("threads")                                                    \
      ->Arg(1)                                                                \
      ->Arg(2)                                                                \
      ->Unit(benchmark::kMicrosecond)                                         \
      ->UseRealTime();                                                        \
  BENCHMARK_CAPTURE(run_net, net##_plain, net, Layout::kPlain)                \
      ->ArgName("threads")                                                    \
      ->Arg(1)                                                                \
      ->Arg(2)                                                                \
      ->Unit(benchmark::kMicrosecond)                                         \
      ->UseRealTime()
FEWBIT_NET(mobilenet_v2);
FEWBIT_NET(mobilenet_v1_075);
FEWBIT_NET(squeezenet11);
FEWBIT_NET(resnet20);
#undef FEWBIT_NET

}  // namespace
}  // namespace fewbit::bench
