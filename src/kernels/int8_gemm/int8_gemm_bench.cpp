// 8-bit matrix products against oneDNN in the same run: sizes of transformers (prefill, one token,
// a classifier). Counters as in int8_conv_bench.cpp; gbs = 10^9 bytes of B per second, which bounds
// a product of one row.
//
//   fewbit_kernels_bench --benchmark_filter=int8_gemm

#include <benchmark/benchmark.h>
#include <omp.h>

#include "kernels/int8_conv/int8_bench_common.h"
#include "kernels/int8_gemm/int8_gemm.h"

namespace fewbit::bench {
namespace {

struct Size {
  const char* name;
  int64_t m, n, k;
};

constexpr Size kSizes[] = {{"512x4096x4096", 512, 4096, 4096}, {"197x768x768", 197, 768, 768},
                           {"197x3072x768", 197, 3072, 768},   {"197x768x3072", 197, 768, 3072},
                           {"1x1000x1280", 1, 1000, 1280},     {"1x4096x4096", 1, 4096, 4096},
                           {"4x768x768", 4, 768, 768}};

void run_size(benchmark::State& state, const Size& size) {
  const int threads = static_cast<int>(state.range(0));
  Int8GemmSpec spec;
  spec.k = size.k;
  spec.n = size.n;
  spec.output.scale.assign(static_cast<size_t>(size.n), 1e-4F);
  const Tensor a = random_bytes(size.m * size.k), b = random_bytes(size.k * size.n);
  Tensor c = Tensor::zeros(DType::kUint8, {size.m * size.n});
  const Result<Int8Gemm> gemm = Int8Gemm::prepare(spec, b.raw(), {});
  FEWBIT_CHECK(gemm.ok(), gemm.error().message());
  Int8GemmCall call;
  call.m = size.m;
  call.a = a.raw();
  call.c = c.raw();
  omp_set_num_threads(threads);
  const auto peer = dnnl_matmul(size.m, size.n, size.k, a, b);
  for (auto _ : state) {
    const PairTime time = time_pair([&] { gemm->run(call, threads); }, peer, 0.2);
    const double gmacs = static_cast<double>(size.m * size.n * size.k) / 1e9;
    static const double roof = vnni_gmacs();
    state.SetIterationTime(time.ours_us * 1e-6);
    state.counters["us"] = time.ours_us;
    state.counters["peer_us"] = time.peer_us;
    state.counters["ratio"] = time.peer_us / time.ours_us;
    state.counters["gops"] = 2 * gmacs / (time.ours_us * 1e-6);
    state.counters["gbs"] = static_cast<double>(size.k * size.n) / 1e3 / time.ours_us;
    if (roof > 0) state.counters["roof"] = gmacs / (time.ours_us * 1e-6) / (roof * threads);
  }
}

const bool kRegistered = [] {
  for (const Size& size : kSizes) {
    benchmark::RegisterBenchmark((std::string("int8_gemm/") + size.name).c_str(),
                                 [&size](benchmark::State& s) { run_size(s, size); })
        ->Arg(1)
        ->Arg(2)
        ->Iterations(1)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  }
  return true;
}();

}  // namespace
}  // namespace fewbit::bench
