#include "kernels/kv_attention/kv_cache.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/random.h"
#include "numerics/bfloat16.h"
#include "numerics/float8.h"

namespace fewbit {
namespace {

constexpr int64_t kSize = 80, kHeads = 2, kStride = kSize * kHeads;

std::vector<float> normal(int64_t count, uint64_t seed) {
  std::vector<float> v(static_cast<size_t>(count));
  Random(seed).fill_normal(v, 0, 1);
  return v;
}

KvCache cache_of(KvFormat format, const kv::Kernels& kernels, int64_t window = 0) {
  Result<KvCache> cache = KvCache::create(
      {.heads = kHeads, .head_size = kSize, .format = format, .value_group = 32, .window = window},
      kernels);
  EXPECT_TRUE(cache.ok());
  return std::move(*cache);
}

struct Tokens {
  std::vector<float> keys, values;
};

Tokens read(const KvCache& cache) {
  Tokens t{std::vector<float>(static_cast<size_t>(cache.tokens() * kStride)), {}};
  t.values = t.keys;
  cache.read(0, cache.tokens(), t.keys.data(), t.values.data());
  return t;
}

// What a value between low and high may change by: half a step of the affine codes, whose scale and
// offset are bfloat16 and cover the range (2^-7 more each).
double allowed(KvFormat format, float x, float low, float high) {
  const auto range = static_cast<double>(high) - static_cast<double>(low);
  const auto beyond = std::max(std::abs(static_cast<double>(low)), range) * 0x1p-7;
  const auto magnitude =
      std::max(std::abs(static_cast<double>(low)), std::abs(static_cast<double>(high)));
  switch (format) {
    case KvFormat::kFloat32:
      return 0;
    case KvFormat::kBfloat16:
      return std::abs(static_cast<double>(x)) * 0x1p-8;
    case KvFormat::kInt8:
      return (range + 2 * beyond) / 255 * 0.501;
    case KvFormat::kInt4:
      return (range + 2 * beyond) / 15 * 0.501;
    case KvFormat::kFp8:
      return std::abs(static_cast<double>(x)) * 0x1.01p-4 + magnitude / 448 * 0x1.02p-7;
  }
  return 0;
}

TEST(KvCache, KeysKeepARangePerChannelAndValuesPerToken) {
  constexpr int64_t kTokens = 200;  // three blocks and a part
  std::vector<float> keys = normal(kTokens * kStride, 1), values = normal(kTokens * kStride, 2);
  for (int64_t t = 0; t < kTokens; ++t) {
    for (int64_t c = 0; c < kStride; ++c) {
      const auto i = static_cast<size_t>(t * kStride + c);
      keys[i] = keys[i] * std::ldexp(1.0F, static_cast<int>(c % 9) - 4) + static_cast<float>(c % 5);
      values[i] *= std::ldexp(1.0F, static_cast<int>(t % 11) - 5);
    }
  }
  for (const kv::Kernels& kernels : kv::all_kernels()) {
    for (const KvFormat format : {KvFormat::kFloat32, KvFormat::kBfloat16, KvFormat::kInt8,
                                  KvFormat::kInt4, KvFormat::kFp8}) {
      KvCache cache = cache_of(format, kernels);
      cache.append(keys.data(), values.data(), kTokens, 0, 2);
      const Tokens got = read(cache);
      for (int64_t t = 0; t < kTokens; ++t) {
        for (int64_t c = 0; c < kStride; ++c) {
          const auto i = static_cast<size_t>(t * kStride + c);
          float low = keys[i], high = keys[i];
          for (int64_t other = t / 64 * 64; other < std::min(t / 64 * 64 + 64, kTokens); ++other) {
            low = std::min(low, keys[static_cast<size_t>(other * kStride + c)]);
            high = std::max(high, keys[static_cast<size_t>(other * kStride + c)]);
          }
          ASSERT_NEAR(got.keys[i], keys[i], allowed(format, keys[i], low, high))
              << name_of(format) << " " << kernels.vector->label << " " << t << " " << c;
          const int64_t head = c / kSize * kSize, group = (c - head) / 32 * 32;
          const float* v = values.data() + t * kStride + head;
          const auto [l, h] = std::minmax_element(v + group, v + std::min(group + 32, kSize));
          ASSERT_NEAR(got.values[i], values[i], allowed(format, values[i], *l, *h))
              << name_of(format) << " " << kernels.vector->label << " " << t << " " << c;
          if (t >= 192 && format != KvFormat::kBfloat16) {
            ASSERT_EQ(got.keys[i], keys[i]);  // not quantized yet
          }
        }
      }
    }
  }
}

TEST(KvCache, EveryInstructionSetWritesTheSameBytes) {
  const std::vector<float> keys = normal(64 * kStride, 1), values = normal(64 * kStride, 2);
  for (const KvFormat format :
       {KvFormat::kBfloat16, KvFormat::kInt8, KvFormat::kInt4, KvFormat::kFp8}) {
    std::vector<uint8_t> first;
    for (const kv::Kernels& kernels : kv::all_kernels()) {
      KvCache cache = cache_of(format, kernels);
      cache.append(keys.data(), values.data(), 64, 0, 1);
      const kv::BlockRun run = cache.run(1, 0);
      const std::vector<uint8_t> bytes(run.first, run.first + run.block.bytes());
      if (first.empty()) first = bytes;
      EXPECT_EQ(bytes, first) << name_of(format) << " " << kernels.vector->label;
    }
  }
}

// Where kv_format.h says that a code lies, and what it means.
TEST(KvCache, MemoryIsAsDrawn) {
  const std::vector<float> keys = normal(64 * kStride, 1), values = normal(64 * kStride, 2);
  for (const KvFormat format : {KvFormat::kInt8, KvFormat::kInt4, KvFormat::kFp8}) {
    KvCache cache = cache_of(format, *kv::find_kernels(Isa::kScalar));
    cache.append(keys.data(), values.data(), 64, 0, 1);
    const Tokens got = read(cache);
    const kv::BlockRun run = cache.run(1, 0);
    for (const bool of_keys : {true, false}) {
      const kv::Plane plane = of_keys ? run.block.keys() : run.block.values();
      const uint8_t* data = run.first + (of_keys ? 0 : run.block.keys().bytes());
      for (int row = 0; row < plane.rows; ++row) {
        for (int col = 0; col < plane.cols; ++col) {
          uint16_t pair[2];
          std::memcpy(pair, data + 4 * (col / plane.group * plane.rows + row), 4);
          const float scale = Bfloat16{pair[0]}.to_float(), offset = Bfloat16{pair[1]}.to_float();
          const int per_lane = format == KvFormat::kInt4 ? 8 : 4;
          const uint8_t* lane =
              data + plane.scale_bytes() + row / per_lane * plane.row_stride() + 4 * col;
          const int i = row % per_lane;
          const int byte = lane[i % 4];
          const int code = format == KvFormat::kInt4 ? byte >> (4 * (i / 4)) & 15 : byte;
          const float level = format == KvFormat::kFp8
                                  ? Float8E4M3FN{static_cast<uint8_t>(code)}.to_float()
                                  : static_cast<float>(code);
          const int token = of_keys ? col : row, channel = of_keys ? row : col;
          const auto at = static_cast<size_t>(token * kStride + kSize + channel);
          ASSERT_EQ(std::fma(level, scale, offset), (of_keys ? got.keys : got.values)[at])
              << name_of(format) << " " << row << " " << col;
        }
      }
    }
  }
}

TEST(KvCache, PartsOfAnySizeGiveWhatOneAppendGives) {
  constexpr int64_t kTokens = 300;
  const std::vector<float> keys = normal(kTokens * kStride, 1),
                           values = normal(kTokens * kStride, 2);
  const kv::Kernels kernels = *kv::find_kernels(std::nullopt);
  for (const KvFormat format : {KvFormat::kFloat32, KvFormat::kBfloat16, KvFormat::kInt8}) {
    for (const int64_t window : {0, 1, 100}) {
      KvCache whole = cache_of(format, kernels, window), parts = cache_of(format, kernels, window);
      whole.append(keys.data(), values.data(), kTokens, 0, 2);
      for (int64_t at = 0, part = 1; at < kTokens; part = part * 5 % 73) {
        const int64_t count = std::min(part, kTokens - at);
        parts.append(keys.data() + at * kStride, values.data() + at * kStride, count, kStride, 1);
        at += count;
      }
      EXPECT_EQ(read(whole).keys, read(parts).keys) << name_of(format) << " " << window;
      EXPECT_EQ(read(whole).values, read(parts).values) << name_of(format) << " " << window;
    }
  }
}

TEST(KvCache, TheWindowIsExact) {
  constexpr int64_t kTokens = 300;
  const std::vector<float> keys = normal(kTokens * kStride, 1),
                           values = normal(kTokens * kStride, 2);
  for (const int64_t window : {1, 64, 100, 400}) {
    KvCache cache = cache_of(KvFormat::kInt4, *kv::find_kernels(std::nullopt), window);
    for (int64_t t = 0; t < kTokens; ++t) {
      cache.append(keys.data() + t * kStride, values.data() + t * kStride, 1, 0, 1);
      const int64_t exact = std::min(window, t + 1);
      std::vector<float> k(static_cast<size_t>(exact * kStride)), v(k.size());
      cache.read(t + 1 - exact, exact, k.data(), v.data());
      const auto from = (t + 1 - exact) * kStride;
      ASSERT_TRUE(std::equal(k.begin(), k.end(), keys.begin() + from)) << window << " " << t;
      ASSERT_TRUE(std::equal(v.begin(), v.end(), values.begin() + from)) << window << " " << t;
    }
  }
}

TEST(KvCache, TruncationKeepsWhatWasAndGoesOn) {
  constexpr int64_t kTokens = 2000;
  const std::vector<float> keys = normal(kTokens * kStride, 1),
                           values = normal(kTokens * kStride, 2);
  for (const KvFormat format :
       {KvFormat::kFloat32, KvFormat::kBfloat16, KvFormat::kInt8, KvFormat::kFp8}) {
    for (const int64_t left : {0, 1, 64, 700, 1111, 1999, 2000}) {
      KvCache cache = cache_of(format, *kv::find_kernels(std::nullopt), 70);
      cache.append(keys.data(), values.data(), kTokens, 0, 2);
      const Tokens before = read(cache);
      const int64_t bytes = cache.bytes();
      cache.truncate(left);
      ASSERT_EQ(cache.tokens(), left);
      if (left <= 512) {
        EXPECT_LT(cache.bytes(), bytes);
      }
      const Tokens after = read(cache);
      ASSERT_TRUE(std::equal(after.keys.begin(), after.keys.end(), before.keys.begin()));
      ASSERT_TRUE(std::equal(after.values.begin(), after.values.end(), before.values.begin()));
      // On to the old end: the block that was cut is quantized twice.
      cache.append(keys.data() + left * kStride, values.data() + left * kStride, kTokens - left, 0,
                   1);
      const Tokens again = read(cache);
      for (size_t i = 0; i < again.keys.size(); ++i) {
        const bool cut = static_cast<int64_t>(i) / kStride / 64 == left / 64;
        ASSERT_NEAR(again.keys[i], before.keys[i], cut ? 0.3 : 0) << name_of(format) << " " << left;
        ASSERT_NEAR(again.values[i], before.values[i], cut ? 0.3 : 0) << name_of(format);
      }
    }
  }
}

// A NaN that was cut off must not come back.
TEST(KvCache, TruncationForgetsNaN) {
  for (const KvFormat format : {KvFormat::kFloat32, KvFormat::kBfloat16, KvFormat::kInt8}) {
    KvCache cache = cache_of(format, *kv::find_kernels(std::nullopt));
    std::vector<float> x(70 * kStride, 1.0F);
    x[30 * kStride] = x[66 * kStride] = NAN;
    cache.append(x.data(), x.data(), 70, 0, 1);
    cache.truncate(format == KvFormat::kInt8 ? 0 : 20);
    x[30 * kStride] = x[66 * kStride] = 1;
    const int64_t first = cache.tokens();
    cache.append(x.data(), x.data(), 65 - first, 0, 1);
    const kv::BlockRun run = cache.run(0, 1);
    std::vector<float> floats(static_cast<size_t>(kSize * 64));
    cache.kernels().vector->decode(run.block.values(), run.first + run.block.keys().bytes(),
                                   floats.data());
    for (const float f : floats) ASSERT_TRUE(f == 0 || f == 1) << name_of(format);
  }
}

TEST(KvCache, MemoryIsAsPlanned) {
  for (const KvFormat format : {KvFormat::kFloat32, KvFormat::kBfloat16, KvFormat::kInt8,
                                KvFormat::kInt4, KvFormat::kFp8}) {
    KvCacheOptions options{.heads = 3, .head_size = 64, .format = format, .window = 64};
    const int64_t planned = *KvCache::planned_bytes(options, 3000);
    options.reserve = 3000;
    Result<KvCache> cache = KvCache::create(options);
    ASSERT_TRUE(cache.ok());
    EXPECT_EQ(cache->bytes(), planned);
    const std::vector<float> x = normal(3000 * 3 * 64, 1);
    cache->append(x.data(), x.data(), 3000, 0, 1);
    EXPECT_EQ(cache->bytes(), planned);
    EXPECT_LE(cache->used_bytes(), planned);
  }
  // 8 bits a value, and 32 a channel and token and 64 of them.
  const KvCacheOptions int8{.heads = 1, .head_size = 128, .format = KvFormat::kInt8};
  EXPECT_EQ(*KvCache::planned_bytes(int8, 2048),
            2048 * 128 * 2 + 32 * (128 * 4 + 64 * 4) + 64 * 128 * 8);
  // From half a huge page on in whole ones.
  EXPECT_EQ(*KvCache::planned_bytes(int8, 4096), (int64_t{2} << 20) + 64 * 128 * 8);
}

TEST(KvCache, WhatHasNoLayoutIsRefused) {
  EXPECT_EQ(KvCache::create({.head_size = 72}).error().message(),
            "key-value cache: head size 72, expected a multiple of 16 up to 256");
  EXPECT_FALSE(KvCache::create({.head_size = 272}).ok());
  EXPECT_FALSE(KvCache::create({.head_size = 0}).ok());
  EXPECT_FALSE(KvCache::create({.head_size = 64, .value_group = 24}).ok());
  EXPECT_FALSE(KvCache::create({.heads = 0}).ok());
  EXPECT_FALSE(KvCache::create({.window = -1}).ok());
  for (const char* name : {"float32", "bfloat16", "int8", "int4", "fp8"}) {
    EXPECT_EQ(name_of(*kv_format_from_name(name)), name);
  }
  EXPECT_FALSE(kv_format_from_name("int5"));
}

}  // namespace
}  // namespace fewbit
