// What of this family `fewbit bench-kernels` measures: one new token, and prompts of 512, on
// caches of Llama's and SmolLM2's heads.

#include <fmt/format.h>

#include <memory>

#include "base/random.h"
#include "kernels/kv_attention/kv_attention.h"

namespace fewbit {
namespace {

struct CacheShape {
  int64_t heads, kv_heads, head_size;
  int64_t tokens, positions;  ///< new ones, and all
};

constexpr CacheShape kShapes[] = {
    {32, 32, 128, 1, 4096},   {9, 3, 64, 1, 4096},  {32, 8, 128, 1, 4096}, {32, 32, 128, 512, 512},
    {32, 32, 128, 512, 4096}, {9, 3, 64, 512, 512}, {9, 3, 64, 512, 4096},
};

constexpr KvFormat kFormats[] = {KvFormat::kBfloat16, KvFormat::kInt8, KvFormat::kInt4,
                                 KvFormat::kFp8, KvFormat::kFloat32};

struct Operands {
  CacheShape shape;
  KvFormat format;
  std::vector<float> tokens;  // kBlockTokens of keys, as many of values
  std::vector<float> q, out;
};

Result<KvCache> cache_of(const Operands& operands) {
  const CacheShape& s = operands.shape;
  const KvCacheOptions options{.heads = s.kv_heads,
                               .head_size = s.head_size,
                               .format = operands.format,
                               .reserve = s.positions};
  FEWBIT_ASSIGN(KvCache cache, KvCache::create(options));
  const float* keys = operands.tokens.data();
  const float* values = keys + operands.tokens.size() / 2;
  for (int64_t t = 0; t < s.positions; t += kv::kBlockTokens) {
    cache.append(keys, values, kv::kBlockTokens, 0, 2);
  }
  return cache;
}

KernelSample sample(std::shared_ptr<const KvCache> cache,
                    const std::shared_ptr<Operands>& operands) {
  const CacheShape& s = operands->shape;
  KernelSample sample;
  sample.isa = cache->isa();
  const bool integers = operands->format == KvFormat::kInt8 || operands->format == KvFormat::kInt4;
  sample.arithmetic = operands->format == KvFormat::kFloat32 ? KernelArithmetic::kFloat32
                      : s.tokens > 1                         ? KernelArithmetic::kBfloat16
                      : integers                             ? KernelArithmetic::kInt8
                                                             : KernelArithmetic::kFloat32;
  sample.bytes = cache->used_bytes();
  // Pairs of a new token and a position that it sees; four operations a channel each.
  const int64_t pairs = s.tokens * (s.positions - s.tokens) + s.tokens * (s.tokens + 1) / 2;
  sample.ops = 4.0 * static_cast<double>(pairs * s.heads * s.head_size);
  sample.run = [=](int threads) {
    const AttentionSequence sequence{.cache = cache.get(),
                                     .tokens = operands->shape.tokens,
                                     .q = operands->q.data(),
                                     .out = operands->out.data()};
    attend({&sequence, 1}, {.heads = operands->shape.heads}, threads);
  };
  sample.duplicate = [=] {
    return fewbit::sample(std::make_shared<KvCache>(*cache_of(*operands)), operands);
  };
  return sample;
}

Result<KernelSample> prepare(KvFormat format, const CacheShape& shape) {
  auto operands = std::make_shared<Operands>();
  operands->shape = shape;
  operands->format = format;
  operands->tokens.resize(
      static_cast<size_t>(2 * kv::kBlockTokens * shape.kv_heads * shape.head_size));
  operands->q.resize(static_cast<size_t>(shape.tokens * shape.heads * shape.head_size));
  operands->out.resize(operands->q.size());
  Random(1).fill_normal(operands->tokens, 0, 1);
  Random(2).fill_normal(operands->q, 0, 1);
  FEWBIT_ASSIGN(KvCache cache, cache_of(*operands));
  return sample(std::make_shared<KvCache>(std::move(cache)), operands);
}

}  // namespace

std::vector<KernelCase> kv_attention_cases() {
  std::vector<KernelCase> cases;
  for (const CacheShape& s : kShapes) {
    for (const KvFormat format : kFormats) {
      const std::string name =
          fmt::format("{}@{} {}/{}x{}", s.tokens, s.positions, s.heads, s.kv_heads, s.head_size);
      cases.push_back({std::string(name_of(format)), name, s.tokens, s.positions,
                       2 * s.kv_heads * s.head_size, [=] { return prepare(format, s); }});
    }
  }
  return cases;
}

}  // namespace fewbit
