// Throughput of the pointwise kernels on activations of the usual sizes, one thread, in every
// vector width that runs here: bytes read and written per second.
#include <benchmark/benchmark.h>
#include <omp.h>

#include <functional>
#include <string>
#include <vector>

#include "kernels/pointwise/binary/binary.h"
#include "kernels/pointwise/move/move.h"
#include "kernels/pointwise/pool/pool.h"
#include "kernels/pointwise/qarith/qarith.h"
#include "kernels/pointwise/quantize/quantize.h"
#include "kernels/pointwise/reduce/reduce.h"
#include "kernels/pointwise/rows/rows.h"
#include "kernels/pointwise/unary/unary.h"
#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

constexpr int64_t kElems = 56 * 56 * 64;  // 784 KiB of floats: in the second-level cache

struct Buffers {
  std::vector<float> f, g, h;
  std::vector<uint8_t> u, v, w;
  Buffers() : f(kElems), g(kElems), h(kElems), u(kElems), v(kElems), w(kElems) {
    for (int64_t i = 0; i < kElems; ++i) {
      f[i] = static_cast<float>(i * 7919 % 1000) * 0.01f - 5.0f;
      g[i] = static_cast<float>(i % 13) + 0.5f;
      u[i] = static_cast<uint8_t>(i * 31);
      v[i] = static_cast<uint8_t>(i * 17);
    }
  }
};

Buffers& buffers() {
  static Buffers b;
  return b;
}

struct Row {
  const char* name;
  int64_t bytes;  ///< read and written by one call
  std::function<void(Buffers&)> run;
};

std::vector<Row> rows() {
  const BroadcastLoops same =
      *collapse_broadcast(std::vector<int64_t>{kElems}, std::vector<int64_t>{kElems});
  const QClamp range = full_range(DType::kUint8);
  const PoolShape pool3 = {.n = 1,
                           .channels = 64,
                           .in = {1, 56, 56},
                           .out = {1, 27, 27},
                           .kernel = {1, 3, 3},
                           .stride = {1, 2, 2}};
  const std::vector<int64_t> dims = {56, 56, 64}, perm = {1, 2, 0};
  std::vector<Row> out = {
      {"quantize_u8", 5 * kElems,
       [](Buffers& b) { quantize(b.f.data(), b.w.data(), DType::kUint8, kElems, 0.037f, 128); }},
      {"quantize_image_to_channels_last_pad4", 3 * 50176 * 4 + 4 * 50176,
       [](Buffers& b) {
         quantize_to_channels_last(b.f.data(), b.w.data(), DType::kUint8, 1, 3, 50176, 4, 0.037f,
                                   128);
       }},
      {"dequantize_u8", 5 * kElems,
       [](Buffers& b) { dequantize(b.u.data(), DType::kUint8, b.h.data(), kElems, 0.1f, 128); }},
      {"min_max", 4 * kElems,
       [](Buffers& b) {
         float lo, hi;
         min_max(b.f.data(), kElems, &lo, &hi);
         benchmark::DoNotOptimize(lo + hi);
       }},
      {"qadd_u8", 3 * kElems,
       [=](Buffers& b) {
         qadd(DType::kUint8, same, b.u.data(), {0.1f, 3}, b.v.data(), {0.2f, 5}, b.w.data(),
              {0.3f, 4}, range);
       }},
      {"qmul_u8", 3 * kElems,
       [=](Buffers& b) {
         qmul(DType::kUint8, same, b.u.data(), {0.1f, 3}, b.v.data(), {0.2f, 5}, b.w.data(),
              {0.3f, 4}, range);
       }},
      {"map_bytes", 2 * kElems,
       [lut = Lut{1, 2, 3}](Buffers& b) { map_bytes(b.u.data(), b.w.data(), kElems, lut); }},
      {"max_pool_u8_3x3s2", 56 * 56 * 64,
       [=](Buffers& b) { max_pool(DType::kUint8, pool3, b.u.data(), b.w.data()); }},
      {"max_pool_f32_3x3s2", 56 * 56 * 64 * 4,
       [=](Buffers& b) { max_pool(DType::kFloat32, pool3, b.f.data(), b.h.data()); }},
      {"global_average_u8_7x7x1280", 49 * 1280,
       [](Buffers& b) {
         global_average_quantized(DType::kUint8, 1, 49, 1280, b.u.data(), {0.1f, 0}, b.w.data(),
                                  {0.1f, 0});
       }},
      {"global_average_f32_7x7x1280", 4 * 49 * 1280,
       [](Buffers& b) { global_average(1, 49, 1280, b.f.data(), b.h.data()); }},
      {"add_clip_f32", 12 * kElems,
       [=](Buffers& b) { add_clip(same, b.f.data(), b.g.data(), b.h.data(), 0.0f, 6.0f); }},
      {"softmax_f32_rows_of_196", 8 * kElems,
       [](Buffers& b) { softmax(b.f.data(), b.h.data(), kElems / 196, 196); }},
      {"layer_norm_rows_of_768", 8 * (kElems / 768) * 768,
       [](Buffers& b) {
         layer_norm(b.f.data(), b.h.data(), kElems / 768, 768, b.g.data(), b.g.data(), 1e-5f);
       }},
      {"reduce_mean_rows_of_768", 4 * kElems,
       [](Buffers& b) { reduce(ReduceOp::kMean, b.f.data(), b.h.data(), kElems / 768, 768, 1); }},
      {"to_channels_last_f32_64", 8 * kElems,
       [](Buffers& b) { to_channels_last(b.f.data(), b.h.data(), 4, 1, 64, 3136); }},
      {"to_channels_last_f32_image", 8 * 3 * 50176,
       [](Buffers& b) { to_channels_last(b.f.data(), b.h.data(), 4, 1, 3, 50176); }},
      {"to_channels_last_u8_64", 2 * kElems,
       [](Buffers& b) { to_channels_last(b.u.data(), b.w.data(), 1, 1, 64, 3136); }},
      {"transpose_f32_120", 8 * kElems,
       [=](Buffers& b) {
         benchmark::DoNotOptimize(transpose(b.f.data(), b.h.data(), 4, dims, perm).ok());
       }},
      {"concat_part_f32_64_of_128", 8 * (kElems / 2),
       [](Buffers& b) { copy_rows(b.f.data(), 256, b.h.data(), 512, kElems / 128, 256); }},
  };
  struct Function {
    const char* name;
    Unary f;
  };
  for (const Function& f : {Function{"relu", {UnaryOp::kRelu}},
                            {"sigmoid", {UnaryOp::kSigmoid}},
                            {"silu", {UnaryOp::kSilu, 1.0f}},
                            {"hard_swish", {UnaryOp::kHardSwish}},
                            {"tanh", {UnaryOp::kTanh}},
                            {"gelu_erf", {UnaryOp::kGeluErf}},
                            {"gelu_tanh", {UnaryOp::kGeluTanh}},
                            {"erf", {UnaryOp::kErf}},
                            {"exp", {UnaryOp::kExp}},
                            {"log", {UnaryOp::kLog}}})
    out.push_back(
        {f.name, 8 * kElems, [f](Buffers& b) { unary(f.f, b.f.data(), b.h.data(), kElems); }});
  return out;
}

const bool kRegistered = [] {
  for (const Row& row : rows())
    for (const auto& [level, name] :
         {std::pair{Simd::kScalar, "scalar"}, std::pair{Simd::kAvx2, "avx2"},
          std::pair{Simd::kAvx512, "avx512"}}) {
      if (!simd_runs_here(level)) continue;
      benchmark::RegisterBenchmark((std::string("pointwise/") + row.name + "/" + name).c_str(),
                                   [row, level = level](benchmark::State& state) {
                                     const SimdScope scope(level);
                                     const int before = omp_get_max_threads();
                                     omp_set_num_threads(1);
                                     Buffers& b = buffers();
                                     for (auto _ : state) row.run(b);
                                     state.SetBytesProcessed(state.iterations() * row.bytes);
                                     omp_set_num_threads(before);
                                   });
    }
  return true;
}();

}  // namespace
}  // namespace fewbit::pointwise
