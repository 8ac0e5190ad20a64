#include "kernels/kv_attention/kv_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"

namespace fewbit {
namespace {

constexpr KvFormat kFormats[] = {KvFormat::kFloat32, KvFormat::kBfloat16, KvFormat::kInt8,
                                 KvFormat::kInt4, KvFormat::kFp8};

std::vector<float> normal(int64_t count, uint64_t seed) {
  std::vector<float> v(static_cast<size_t>(count));
  Random(seed).fill_normal(v, 0, 1);
  return v;
}

struct Problem {
  KvCacheOptions cache;
  AttentionOptions attention;
  int64_t cached = 0;  ///< tokens before the new ones
  int64_t tokens = 1;  ///< new
};

struct Filled {
  KvCache cache;
  std::vector<float> keys, values;  ///< as given, [tokens, heads, head_size]
};

// Keys have a mean per channel, as those of language models do.
Filled filled(const KvCacheOptions& options, int64_t tokens, const kv::Kernels& kernels) {
  Result<KvCache> cache = KvCache::create(options, kernels);
  EXPECT_TRUE(cache.ok()) << cache.error().message();
  const int64_t stride = options.heads * options.head_size;
  Filled f{std::move(*cache), normal(tokens * stride, 11), normal(tokens * stride, 12)};
  const std::vector<float> mean = normal(stride, 13);
  for (size_t i = 0; i < f.keys.size(); ++i) f.keys[i] += mean[i % mean.size()];
  // In uneven parts.
  for (int64_t at = 0, part = 1; at < tokens; part = part * 3 % 101) {
    const int64_t count = std::min(part, tokens - at);
    f.cache.append(f.keys.data() + at * stride, f.values.data() + at * stride, count, 0, 2);
    at += count;
  }
  return f;
}

struct Wanted {
  std::vector<double> out;
  std::vector<double> tolerance;
};

// Attention in double to what the cache holds, and how far float32 and the roundings that
// kv_attention.h allows may be from it.
//
// Scores off by at most e change an output by at most (e^2e - 1) sum w |v - out|. What e is:
//   float32     2^-23 (size / 8 + 16) sum |q k|: a chain of sums, and exp
//   15 bits     size / 2 steps of max |q| * range of the channel / 16256, times codes up to range
//   bfloat16    2^-7 sum |q k|, for q and k 2^-8 each
// Values the same: weights to 15 bits are off by at most half a step in each position of a block.
class Reference {
 public:
  Reference(const Problem& p, const KvCache& cache, const std::vector<float>& q, bool bf16)
      : p_(p),
        q_(q),
        size_(p.cache.head_size),
        total_(cache.tokens()),
        bf16_(bf16),
        keys_(static_cast<size_t>(total_ * p.cache.heads * size_)),
        values_(keys_.size()) {
    cache.read(0, total_, keys_.data(), values_.data());
    for (int64_t i = 0; i < p.cache.heads * size_; ++i) {
      float low = std::numeric_limits<float>::infinity(), high = -low;
      for (int64_t pos = 0; pos < total_; ++pos) {
        low = std::min(low, key(pos, 0)[i]);
        high = std::max(high, key(pos, 0)[i]);
      }
      key_range_.push_back(static_cast<double>(high) - static_cast<double>(low));
    }
    scale_ = p.attention.scale != 0 ? static_cast<double>(p.attention.scale)
                                    : 1 / std::sqrt(static_cast<double>(size_));
  }

  Wanted run() {
    Wanted w;
    for (int64_t t = 0; t < p_.tokens; ++t) {
      for (int64_t h = 0; h < p_.attention.heads; ++h) row(t, h, w);
    }
    return w;
  }

 private:
  const float* key(int64_t pos, int64_t g) const {
    return keys_.data() + (pos * p_.cache.heads + g) * size_;
  }
  const float* value(int64_t pos, int64_t g) const {
    return values_.data() + (pos * p_.cache.heads + g) * size_;
  }
  double range_of_value(int64_t pos, int64_t g) const {
    const float* v = value(pos, g);
    const auto [low, high] = std::minmax_element(v, v + size_);
    return static_cast<double>(*high) - static_cast<double>(*low);
  }

  // Half the steps of 15 bits that q is rounded to.
  double score_step(const float* q, int64_t g) const {
    double largest = 0;
    for (int64_t c = 0; c < size_; ++c) {
      largest = std::max(largest, std::abs(static_cast<double>(q[c]) * scale_) *
                                      key_range_[static_cast<size_t>(g * size_ + c)]);
    }
    return 1.02 * static_cast<double>(size_) * largest / (2 * 16256);
  }

  void row(int64_t t, int64_t h, Wanted& w) const {
    const int64_t g = h / (p_.attention.heads / p_.cache.heads);
    const float* q = q_.data() + (t * p_.attention.heads + h) * size_;
    const int64_t position = total_ - p_.tokens + t;
    const int64_t end = p_.attention.causal ? position + 1 : total_;
    const int64_t begin =
        p_.attention.window > 0 ? std::max<int64_t>(0, position + 1 - p_.attention.window) : 0;
    const bool integers = p_.cache.format == KvFormat::kInt8 || p_.cache.format == KvFormat::kInt4;
    std::vector<double> weight(static_cast<size_t>(std::max<int64_t>(total_, 1)), 0.0);
    double max = -std::numeric_limits<double>::infinity(), sum = 0, error = 0;
    for (int64_t pos = begin; pos < end; ++pos) {
      double s = 0, magnitude = 0;
      for (int64_t c = 0; c < size_; ++c) {
        const double product = static_cast<double>(q[c]) * static_cast<double>(key(pos, g)[c]);
        s += product * scale_;
        magnitude += std::abs(product * scale_);
      }
      const double cap = static_cast<double>(p_.attention.softcap);
      if (cap > 0) s = cap * std::tanh(s / cap);
      weight[static_cast<size_t>(pos)] = s;
      max = std::max(max, s);
      error = std::max(error, magnitude * (static_cast<double>(size_) / 8 + 16) * 0x1p-23 * 4 +
                                  (bf16_ ? magnitude * 0x1.01p-7 : 0));
    }
    if (integers) error += score_step(q, g);
    error += p_.attention.softcap > 0 ? 1e-6 * static_cast<double>(p_.attention.softcap) : 0;
    for (int64_t pos = begin; pos < end; ++pos) {
      sum += weight[static_cast<size_t>(pos)] = std::exp(weight[static_cast<size_t>(pos)] - max);
    }
    double of_weights = 0;  // what rounding them may change
    for (int64_t b = begin / 64 * 64; b < end; b += 64) {
      double largest = 0;
      for (int64_t pos = std::max(b, begin); pos < std::min(b + 64, end); ++pos) {
        largest =
            std::max(largest, weight[static_cast<size_t>(pos)] / sum * range_of_value(pos, g));
      }
      of_weights += 64 * 1.02 * largest / (2 * 16256);
    }
    for (int64_t c = 0; c < size_; ++c) {
      double out = 0, spread = 0, magnitude = 0;
      for (int64_t pos = begin; pos < end; ++pos) {
        out += weight[static_cast<size_t>(pos)] / sum * static_cast<double>(value(pos, g)[c]);
      }
      for (int64_t pos = begin; pos < end; ++pos) {
        const double v = static_cast<double>(value(pos, g)[c]);
        spread += weight[static_cast<size_t>(pos)] / sum * std::abs(v - out);
        magnitude += weight[static_cast<size_t>(pos)] / sum * (std::abs(v) + 4);
      }
      w.out.push_back(out);
      w.tolerance.push_back(std::expm1(2 * error) * spread + (integers ? of_weights : 0) +
                            magnitude * (bf16_ ? 0x1.01p-7 : 0x1p-18) + 1e-30);
    }
  }

  const Problem& p_;
  const std::vector<float>& q_;
  int64_t size_, total_;
  bool bf16_;
  std::vector<float> keys_, values_;
  std::vector<double> key_range_;  ///< of each channel
  double scale_;
};

std::string name_of(const kv::Kernels& kernels) {
  return std::string(kernels.tile != nullptr ? kernels.tile->label : kernels.vector->label);
}

std::vector<float> result_of(const Problem& p, const KvCache& cache, const std::vector<float>& q,
                             int threads) {
  std::vector<float> out(q.size(), NAN);
  const AttentionSequence sequence{
      .cache = &cache, .tokens = p.tokens, .q = q.data(), .out = out.data()};
  attend({&sequence, 1}, p.attention, threads);
  return out;
}

// The emulated tiles are slow: of products of hundreds of rows they take a part only.
void check(const Problem& p) {
  const std::vector<float> q = normal(p.tokens * p.attention.heads * p.cache.head_size, 14);
  const int64_t pairs = p.tokens * p.attention.heads * (p.cached + p.tokens);
  for (const kv::Kernels& kernels : kv::all_kernels()) {
    const bool emulated = kernels.tile != nullptr && kernels.tile->emulated;
    if (emulated && pairs > 40000 && p.cache.format != KvFormat::kInt8) continue;
    const Filled f = filled(p.cache, p.cached + p.tokens, kernels);
    const Wanted wanted = Reference(p, f.cache, q, kernels.tile != nullptr).run();
    for (const int threads : {1, 3}) {
      const std::vector<float> out = result_of(p, f.cache, q, threads);
      for (size_t i = 0; i < out.size(); ++i) {
        ASSERT_NEAR(out[i], wanted.out[i], wanted.tolerance[i])
            << name_of(p.cache.format) << " on " << name_of(kernels) << ", " << threads
            << " threads, " << p.cached << " + " << p.tokens << " tokens, " << p.attention.heads
            << "/" << p.cache.heads << " heads of " << p.cache.head_size << ", at " << i;
      }
    }
  }
}

TEST(KvAttention, EveryFormatAndHeadSize) {
  for (const KvFormat format : kFormats) {
    for (const int64_t size : {16, 64, 80, 96, 128, 256}) {
      check({.cache = {.heads = 2, .head_size = size, .format = format},
             .attention = {.heads = 4},
             .cached = 200});
      check({.cache = {.heads = 1, .head_size = size, .format = format},
             .attention = {.heads = 3},
             .cached = 70,
             .tokens = 11});
    }
  }
}

TEST(KvAttention, LengthsAroundBlocks) {
  for (const KvFormat format : kFormats) {
    for (const int64_t cached : {0, 1, 63, 64, 65, 128, 319}) {
      for (const int64_t tokens : {1, 2, 20}) {
        check({.cache = {.heads = 1, .head_size = 32, .format = format},
               .attention = {.heads = 2},
               .cached = cached,
               .tokens = tokens});
      }
    }
  }
}

TEST(KvAttention, Prompts) {
  for (const KvFormat format : kFormats) {
    check({.cache = {.heads = 1, .head_size = 32, .format = format},
           .attention = {.heads = 1},
           .tokens = 290});
    check({.cache = {.heads = 1, .head_size = 16, .format = format},
           .attention = {.heads = 2},
           .cached = 300,
           .tokens = 280});
  }
}

TEST(KvAttention, SlidingWindowAndSoftcap) {
  for (const KvFormat format : kFormats) {
    for (const int64_t window : {1, 5, 64, 100}) {
      for (const int64_t tokens : {1, 3, 70}) {
        check({.cache = {.heads = 1, .head_size = 16, .format = format},
               .attention = {.heads = 2, .scale = 0.3F, .softcap = 2, .window = window},
               .cached = 230,
               .tokens = tokens});
      }
    }
  }
}

TEST(KvAttention, WithoutCausalMask) {
  for (const KvFormat format : kFormats) {
    check({.cache = {.heads = 1, .head_size = 64, .format = format},
           .attention = {.heads = 1, .causal = false},
           .cached = 100,
           .tokens = 30});
  }
}

TEST(KvAttention, FloatWindowAndValueGroups) {
  for (const KvFormat format : {KvFormat::kInt8, KvFormat::kInt4, KvFormat::kFp8}) {
    for (const int64_t window : {1, 64, 130}) {
      check(
          {.cache =
               {.heads = 2, .head_size = 80, .format = format, .value_group = 32, .window = window},
           .attention = {.heads = 2},
           .cached = 250});
    }
  }
}

TEST(KvAttention, ABatchOfUnevenSequencesIsEachAlone) {
  const int64_t stride = 2 * 64;
  for (const kv::Kernels& kernels : kv::all_kernels()) {
    const KvCacheOptions options{.heads = 1, .head_size = 64, .format = KvFormat::kInt8};
    std::vector<Filled> caches;
    std::vector<std::vector<float>> q, together, alone;
    const int64_t lengths[] = {3, 700, 64, 129}, tokens[] = {3, 1, 40, 2};
    for (size_t i = 0; i < 4; ++i) {
      caches.push_back(filled(options, lengths[i], kernels));
      q.push_back(normal(tokens[i] * stride, 20 + i));
      together.emplace_back(q[i].size(), NAN);
      alone.emplace_back(q[i].size(), NAN);
    }
    std::vector<AttentionSequence> batch;
    for (size_t i = 0; i < 4; ++i) {
      batch.push_back({.cache = &caches[i].cache,
                       .tokens = tokens[i],
                       .q = q[i].data(),
                       .out = together[i].data()});
      AttentionSequence one = batch.back();
      one.out = alone[i].data();
      attend({&one, 1}, {.heads = 2}, 1);
    }
    attend(batch, {.heads = 2}, 3);
    for (size_t i = 0; i < 4; ++i) {
      for (size_t j = 0; j < q[i].size(); ++j) {
        ASSERT_NEAR(together[i][j], alone[i][j], 1e-5) << name_of(kernels) << " " << i;
      }
    }
  }
}

TEST(KvAttention, StridesAreHeeded) {
  const KvCacheOptions options{.heads = 1, .head_size = 32, .format = KvFormat::kBfloat16};
  for (const kv::Kernels& kernels : kv::all_kernels()) {
    const Filled f = filled(options, 90, kernels);
    const std::vector<float> q = normal(5 * 100, 3);
    std::vector<float> dense, out(5 * 70, -1.0F), expected(5 * 64);
    for (int64_t t = 0; t < 5; ++t) {
      dense.insert(dense.end(), q.begin() + t * 100, q.begin() + t * 100 + 64);
    }
    const AttentionSequence strided{.cache = &f.cache,
                                    .tokens = 5,
                                    .q = q.data(),
                                    .q_stride = 100,
                                    .out = out.data(),
                                    .out_stride = 70};
    const AttentionSequence plain{
        .cache = &f.cache, .tokens = 5, .q = dense.data(), .out = expected.data()};
    attend({&strided, 1}, {.heads = 2}, 1);
    attend({&plain, 1}, {.heads = 2}, 1);
    for (size_t t = 0; t < 5; ++t) {
      for (size_t c = 0; c < 70; ++c) {
        EXPECT_EQ(out[t * 70 + c], c < 64 ? expected[t * 64 + c] : -1.0F);
      }
    }
    // In place.
    const AttentionSequence in_place{
        .cache = &f.cache, .tokens = 5, .q = dense.data(), .out = dense.data()};
    attend({&in_place, 1}, {.heads = 2}, 1);
    EXPECT_EQ(dense, expected);
  }
}

TEST(KvAttention, RowsOfNaNOrInfinityAreNaNAndLeaveOthersAlone) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const KvFormat format : kFormats) {
    for (const kv::Kernels& kernels : kv::all_kernels()) {
      for (const int64_t tokens : {4, 40}) {
        const Filled f = filled({.heads = 1, .head_size = 64, .format = format}, 200, kernels);
        const Problem p{.cache = {}, .attention = {.heads = 1}, .cached = 0, .tokens = tokens};
        std::vector<float> q = normal(tokens * 64, 5);
        const std::vector<float> clean = result_of(p, f.cache, q, 1);
        q[64 + 7] = nan;
        q[2 * 64 + 9] = -std::numeric_limits<float>::infinity();
        for (const int threads : {1, 2}) {
          const std::vector<float> out = result_of(p, f.cache, q, threads);
          for (size_t i = 0; i < out.size(); ++i) {
            if (i / 64 == 1 || i / 64 == 2) {
              EXPECT_TRUE(std::isnan(out[i])) << name_of(format) << " " << name_of(kernels);
            } else if (threads == 1) {
              EXPECT_EQ(out[i], clean[i]) << name_of(format) << " " << name_of(kernels);
            }
          }
        }
      }
    }
  }
}

TEST(KvAttention, NaNInTheCacheIsNaNForWhoSeesItsBlock) {
  for (const KvFormat format : kFormats) {
    for (const kv::Kernels& kernels : kv::all_kernels()) {
      for (const bool in_key : {false, true}) {
        Filled f = filled({.heads = 1, .head_size = 64, .format = format}, 0, kernels);
        std::vector<float> keys = normal(192 * 64, 1), values = normal(192 * 64, 2);
        (in_key ? keys : values)[70 * 64 + 3] = NAN;
        f.cache.append(keys.data(), values.data(), 192, 0, 1);
        for (const int64_t tokens : {1, 20}) {
          Problem p{.cache = {}, .attention = {.heads = 1}, .cached = 0, .tokens = tokens};
          const std::vector<float> q = normal(tokens * 64, 5);
          EXPECT_TRUE(std::isnan(result_of(p, f.cache, q, 1)[3]))
              << name_of(format) << " " << name_of(kernels) << " " << tokens;
          p.attention.window = 30;
          EXPECT_FALSE(std::isnan(result_of(p, f.cache, q, 1)[3]))
              << name_of(format) << " " << name_of(kernels) << " " << tokens;
        }
      }
    }
  }
}

TEST(KvAttention, AnEmptyCacheAndAnEmptyBatchGiveZerosAndNothing) {
  for (const KvFormat format : kFormats) {
    const Result<KvCache> cache = KvCache::create({.heads = 2, .head_size = 64, .format = format});
    ASSERT_TRUE(cache.ok());
    const std::vector<float> q = normal(3 * 4 * 64, 1);
    std::vector<float> out(q.size(), NAN);
    const AttentionSequence sequence{
        .cache = &*cache, .tokens = 3, .q = q.data(), .out = out.data()};
    attend({&sequence, 1}, {.heads = 4, .causal = false}, 2);
    EXPECT_EQ(out, std::vector<float>(q.size(), 0.0F));
    attend({}, {.heads = 4}, 2);
  }
}

// All weight on one position: nothing of the others may leak in.
TEST(KvAttention, ASharpPeakReturnsItsValue) {
  for (const KvFormat format : kFormats) {
    for (const kv::Kernels& kernels : kv::all_kernels()) {
      Filled f = filled({.heads = 1, .head_size = 64, .format = format}, 0, kernels);
      std::vector<float> keys(500 * 64, 0.0F), values = normal(500 * 64, 2), read(500 * 64);
      for (int64_t c = 0; c < 64; ++c) keys[static_cast<size_t>(333 * 64 + c)] = 30;
      f.cache.append(keys.data(), values.data(), 500, 0, 1);
      f.cache.read(0, 500, keys.data(), read.data());
      for (const int64_t tokens : {1, 20}) {
        const std::vector<float> q(static_cast<size_t>(tokens * 64), 1.0F);
        const Problem p{.cache = {}, .attention = {.heads = 1}, .cached = 0, .tokens = tokens};
        const std::vector<float> out = result_of(p, f.cache, q, 2);
        for (size_t c = 0; c < 64; ++c) {
          const float v = read[333 * 64 + c];
          EXPECT_NEAR(out[c], v, 4e-4 + std::abs(v) * (kernels.tile != nullptr ? 4e-3 : 1e-6))
              << name_of(format) << " " << name_of(kernels);
        }
      }
    }
  }
}

// What the formats themselves cost: outputs against attention on the keys and values as given, as
// root mean squares over the outputs' own. docs/kernels-kv_attention.md quotes these bounds.
TEST(KvAttention, ErrorOfTheFormats) {
  const struct {
    KvFormat format;
    double most;
  } bounds[] = {{KvFormat::kFloat32, 1e-6},
                {KvFormat::kBfloat16, 0.004},
                {KvFormat::kInt8, 0.01},
                {KvFormat::kFp8, 0.05},
                {KvFormat::kInt4, 0.15}};
  const kv::Kernels kernels = *kv::find_kernels(std::nullopt);
  Problem p{.cache = {.heads = 2, .head_size = 128},
            .attention = {.heads = 4},
            .cached = 1023,
            .tokens = 1};
  p.cache.format = KvFormat::kFloat32;
  const std::vector<float> q = normal(4 * 128, 14);
  const Filled exact = filled(p.cache, 1024, kernels);
  const std::vector<double> wanted = Reference(p, exact.cache, q, false).run().out;
  for (const auto& [format, most] : bounds) {
    p.cache.format = format;
    const std::vector<float> out = result_of(p, filled(p.cache, 1024, kernels).cache, q, 1);
    double error = 0, power = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      error +=
          (static_cast<double>(out[i]) - wanted[i]) * (static_cast<double>(out[i]) - wanted[i]);
      power += wanted[i] * wanted[i];
    }
    const double relative = std::sqrt(error / power);
    RecordProperty(std::string(name_of(format)), std::to_string(relative));
    EXPECT_LT(relative, most) << name_of(format);
  }
}

}  // namespace
}  // namespace fewbit
