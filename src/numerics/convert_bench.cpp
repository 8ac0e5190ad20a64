// Conversions of 1 Mi values, in gigabytes read and written per second.

#include <benchmark/benchmark.h>

#include "base/random.h"
#include "numerics/convert.h"

namespace fewbit {
namespace {

void cast_pair(benchmark::State& state, DType from, DType to) {
  std::vector<float> values(1 << 20);
  Random(1).fill_normal(values, 0, 10);
  const Tensor source = Tensor::from<float>({1 << 20}, values);
  const Tensor in = *cast(source, from);
  Tensor out = Tensor::zeros(to, in.dims());
  for (auto _ : state) {
    const Status status = cast_into(in, out);
    benchmark::DoNotOptimize(status.ok());
  }
  state.SetBytesProcessed(state.iterations() * (in.bytes() + out.bytes()));
}

BENCHMARK_CAPTURE(cast_pair, float32_to_float16, DType::kFloat32, DType::kFloat16);
BENCHMARK_CAPTURE(cast_pair, float16_to_float32, DType::kFloat16, DType::kFloat32);
BENCHMARK_CAPTURE(cast_pair, float32_to_bfloat16, DType::kFloat32, DType::kBfloat16);
BENCHMARK_CAPTURE(cast_pair, bfloat16_to_float32, DType::kBfloat16, DType::kFloat32);
BENCHMARK_CAPTURE(cast_pair, float32_to_int32, DType::kFloat32, DType::kInt32);
BENCHMARK_CAPTURE(cast_pair, int64_to_float32, DType::kInt64, DType::kFloat32);
BENCHMARK_CAPTURE(cast_pair, float32_to_float8e4m3fn, DType::kFloat32, DType::kFloat8E4M3FN);
BENCHMARK_CAPTURE(cast_pair, float8e4m3fn_to_float32, DType::kFloat8E4M3FN, DType::kFloat32);
BENCHMARK_CAPTURE(cast_pair, float32_to_int4, DType::kFloat32, DType::kInt4);
BENCHMARK_CAPTURE(cast_pair, int4_to_float32, DType::kInt4, DType::kFloat32);

}  // namespace
}  // namespace fewbit
