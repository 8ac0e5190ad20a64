#include "kernels/kv_attention/kv_cache.h"

#include <omp.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/huge_buffer.h"
#include "kernels/pointwise/move/transpose_2d.h"
#include "numerics/bfloat16.h"

namespace fewbit {
namespace {

using kv::Block;
using kv::kBlockTokens;
using kv::Plane;

constexpr int64_t kFirstSlabBlocks = 8;

// What is half as large as a huge page or larger is rounded up to whole ones (huge_buffer.h): a
// cache that is streamed reads up to a third faster from them.
int64_t slab_bytes(int64_t bytes) {
  constexpr int64_t kHugePage = int64_t{2} << 20;
  return bytes < kHugePage / 2 ? bytes : (bytes + kHugePage - 1) / kHugePage * kHugePage;
}

int64_t blocks_of(int64_t tokens) {
  return (tokens + kBlockTokens - 1) / kBlockTokens;
}

Result<Block> block_of(const KvCacheOptions& o) {
  if (o.head_size < 16 || o.head_size > kv::kMaxHeadSize || o.head_size % 16 != 0) {
    return unsupported("key-value cache: head size {}, expected a multiple of 16 up to {}",
                       o.head_size, kv::kMaxHeadSize);
  }
  int64_t group = o.value_group;
  if (group == 0) group = o.format == KvFormat::kInt4 ? 64 : o.head_size;
  if (group < 16 || group % 16 != 0) {
    return unsupported("key-value cache: groups of {} values, expected a multiple of 16", group);
  }
  if (o.heads < 1 || o.window < 0 || o.reserve < 0) {
    return misuse("key-value cache: {} heads, window {}, reserve {}", o.heads, o.window, o.reserve);
  }
  return Block{o.format, static_cast<int>(o.head_size),
               static_cast<int>(std::min(group, o.head_size))};
}

int64_t ring_blocks_of(const KvCacheOptions& o) {
  return kv::has_scales(o.format) ? blocks_of(o.window) + 1 : 0;
}

// One token's part of a plane without scales: row or column `at`.
void put_bf16(const float* x, bool column, const Plane& plane, int64_t at, uint8_t* to) {
  auto* halves = reinterpret_cast<Bfloat16*>(to);
  const int64_t count = column ? plane.rows : plane.cols;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = column ? i : at, col = column ? at : i;
    halves[row / 2 * 2 * plane.cols + 2 * col + row % 2] = Bfloat16::from_float(x[i]);
  }
}

// Tokens [at, at + count) of a float32 block.
void put_float(const float* keys, const float* values, int64_t stride, const Block& block,
               int64_t at, int64_t count, uint8_t* to) {
  static const pointwise::Transpose2d transpose = pointwise::transpose_2d_for(sizeof(float));
  auto* plane = reinterpret_cast<float*>(to);
  transpose(keys, stride, plane + at, kBlockTokens, count, block.head_size);
  plane += block.keys().bytes() / 4 + at * block.head_size;
  for (int64_t i = 0; i < count; ++i) {
    std::copy_n(values + i * stride, block.head_size, plane + i * block.head_size);
  }
}

// What follows token `at` of a block without scales becomes zero.
void clear_from(const Block& block, int64_t at, uint8_t* data) {
  const int64_t element = kv::bits_of(block.format) / 8;
  const int64_t per_lane = 4 / element;
  const Plane keys = block.keys();
  for (int64_t line = 0; line < keys.rows / per_lane; ++line) {
    std::memset(data + line * keys.row_stride() + 4 * at, 0,
                static_cast<size_t>(4 * (kBlockTokens - at)));
  }
  uint8_t* values = data + keys.bytes();
  for (int64_t row = at; row < kBlockTokens; ++row) {
    for (int64_t col = 0; col < block.head_size; ++col) {
      const int64_t lane = row / per_lane * block.head_size + col;
      std::memset(values + 4 * lane + row % per_lane * element, 0, static_cast<size_t>(element));
    }
  }
}

}  // namespace

Result<KvCache> KvCache::create(const KvCacheOptions& options, std::optional<Isa> isa) {
  FEWBIT_ASSIGN(const kv::Kernels kernels, kv::find_kernels(isa));
  return create(options, kernels);
}

Result<KvCache> KvCache::create(const KvCacheOptions& options, const kv::Kernels& kernels) {
  KvCache cache;
  FEWBIT_ASSIGN(cache.block_, block_of(options));
  cache.kernels_ = kernels;
  cache.options_ = options;
  cache.first_slab_blocks_ = std::max(kFirstSlabBlocks, blocks_of(options.reserve));
  cache.ring_ = huge_bytes(options.heads * cache.ring_blocks() * cache.float_block().bytes());
  if (options.reserve > 0) cache.grow_to(1);
  return cache;
}

Result<int64_t> KvCache::planned_bytes(const KvCacheOptions& options, int64_t tokens) {
  FEWBIT_ASSIGN(const Block block, block_of(options));
  const int64_t blocks = options.heads * std::max(kFirstSlabBlocks, blocks_of(tokens));
  const int64_t ring = options.heads * ring_blocks_of(options) * block.in_float().bytes();
  return slab_bytes(blocks * block.bytes()) + ring;
}

int64_t KvCache::ring_blocks() const {
  return ring_blocks_of(options_);
}

uint8_t* KvCache::ring_block(int64_t head, int64_t block) const {
  const int64_t index = head * ring_blocks() + block % ring_blocks();
  return const_cast<Tensor&>(ring_).data<uint8_t>() + index * float_block().bytes();
}

// Slab 0 holds `first` blocks, slab s > 0 those from first * 2^(s - 1) to twice that.
KvCache::Place KvCache::place_of(int64_t block) const {
  const auto multiple = static_cast<uint64_t>(block / first_slab_blocks_);
  const auto slab = static_cast<size_t>(std::bit_width(multiple));
  return {slab, slab == 0 ? block : block - (first_slab_blocks_ << (slab - 1))};
}

int64_t KvCache::slab_blocks(size_t slab) const {
  return first_slab_blocks_ << (slab == 0 ? 0 : slab - 1);
}

uint8_t* KvCache::slab_block(int64_t head, int64_t block) const {
  const Place place = place_of(block);
  const int64_t index = head * slab_blocks(place.slab) + place.index;
  return const_cast<Tensor&>(slabs_[place.slab]).data<uint8_t>() + index * block_.bytes();
}

void KvCache::grow_to(int64_t blocks) {
  const size_t wanted = blocks == 0 ? 0 : place_of(blocks - 1).slab + 1;
  while (slabs_.size() < wanted) {
    const int64_t all = options_.heads * slab_blocks(slabs_.size());
    slabs_.push_back(huge_bytes(slab_bytes(all * block_.bytes())));
  }
}

int64_t KvCache::blocks_to_quantize(int64_t tokens) const {
  if (!quantizes()) return 0;
  return std::max(quantized_, (tokens - options_.window) / kBlockTokens);
}

void KvCache::append_head(int64_t head, const float* keys, const float* values, int64_t count,
                          int64_t stride) {
  const Block floats = float_block();
  alignas(64) static thread_local float staged[2 * kBlockTokens * kv::kMaxHeadSize];
  auto* staging = reinterpret_cast<uint8_t*>(staged);
  const auto encode = [&](const uint8_t* from, int64_t block) {
    const auto* x = reinterpret_cast<const float*>(from);
    uint8_t* to = slab_block(head, block);
    kernels_.vector->encode(block_.keys(), x, to);
    kernels_.vector->encode(block_.values(), x + floats.keys().bytes() / 4,
                            to + block_.keys().bytes());
  };
  int64_t quantized = quantized_;
  for (int64_t done = 0; done < count;) {
    const int64_t position = tokens_ + done;
    const int64_t block = position / kBlockTokens, at = position % kBlockTokens;
    const int64_t taken = std::min(count - done, kBlockTokens - at);
    const float* k = keys + done * stride;
    const float* v = values + done * stride;
    done += taken;
    uint8_t* to = quantizes() ? ring_block(head, block) : slab_block(head, block);
    if (at == 0 && taken < kBlockTokens) {
      // What was there before a truncation might not be finite.
      std::memset(to, 0, static_cast<size_t>((quantizes() ? floats : block_).bytes()));
    }
    if (quantizes()) {
      put_float(k, v, stride, floats, at, taken, to);
      const int64_t ready = blocks_to_quantize(tokens_ + done);
      for (; quantized < ready; ++quantized) encode(ring_block(head, quantized), quantized);
    } else if (options_.format == KvFormat::kFloat32) {
      put_float(k, v, stride, floats, at, taken, to);
    } else if (taken == kBlockTokens) {
      put_float(k, v, stride, floats, 0, taken, staging);
      encode(staging, block);
    } else {
      for (int64_t i = 0; i < taken; ++i) {
        put_bf16(k + i * stride, true, block_.keys(), at + i, to);
        put_bf16(v + i * stride, false, block_.values(), at + i, to + block_.keys().bytes());
      }
    }
  }
}

void KvCache::append(const float* keys, const float* values, int64_t count, int64_t stride,
                     int threads) {
  if (stride == 0) stride = options_.heads * options_.head_size;
  grow_to(quantizes() ? blocks_to_quantize(tokens_ + count) : blocks_of(tokens_ + count));
  // Waking a thread takes as long as writing this many values.
  constexpr int64_t kValuesPerThread = 32768;
  const int64_t worth = count * options_.heads * options_.head_size / kValuesPerThread;
  threads =
      static_cast<int>(std::clamp<int64_t>(std::min<int64_t>(worth, threads), 1, options_.heads));
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t head = 0; head < options_.heads; ++head) {
    const int64_t at = head * options_.head_size;
    append_head(head, keys + at, values + at, count, stride);
  }
  quantized_ = blocks_to_quantize(tokens_ + count);
  tokens_ += count;
}

void KvCache::truncate(int64_t tokens) {
  FEWBIT_CHECK(tokens >= 0 && tokens <= tokens_, tokens, tokens_);
  const int64_t block = tokens / kBlockTokens, at = tokens % kBlockTokens;
  const bool cut_is_quantized = block < quantized_;
  for (int64_t head = 0; at > 0 && head < options_.heads; ++head) {
    if (cut_is_quantized) {
      const uint8_t* from = slab_block(head, block);
      auto* to = reinterpret_cast<float*>(ring_block(head, block));
      kernels_.vector->decode(block_.keys(), from, to);
      kernels_.vector->decode(block_.values(), from + block_.keys().bytes(),
                              to + float_block().keys().bytes() / 4);
    }
    if (quantizes()) {
      clear_from(float_block(), at, ring_block(head, block));
    } else {
      clear_from(block_, at, slab_block(head, block));
    }
  }
  quantized_ = std::min(quantized_, block);
  tokens_ = tokens;
  const int64_t kept =
      std::max<int64_t>(quantizes() ? quantized_ : blocks_of(tokens), options_.reserve > 0 ? 1 : 0);
  const size_t slabs = kept == 0 ? 0 : place_of(kept - 1).slab + 1;
  if (slabs < slabs_.size()) slabs_.resize(slabs);
}

void KvCache::read(int64_t first, int64_t count, float* keys, float* values) const {
  FEWBIT_CHECK(first >= 0 && first + count <= tokens_, first, count, tokens_);
  const int64_t size = options_.head_size, stride = options_.heads * size;
  std::vector<float> floats(static_cast<size_t>(2 * kBlockTokens * size));
  float* of_values = floats.data() + kBlockTokens * size;
  for (int64_t head = 0; head < options_.heads; ++head) {
    for (int64_t block = first / kBlockTokens; block < blocks_of(first + count); ++block) {
      const kv::BlockRun r = run(head, block);
      kernels_.vector->decode(r.block.keys(), r.first, floats.data());
      kernels_.vector->decode(r.block.values(), r.first + r.block.keys().bytes(), of_values);
      const int64_t begin = std::max(first, block * kBlockTokens);
      const int64_t end = std::min(first + count, (block + 1) * kBlockTokens);
      for (int64_t t = begin; t < end; ++t) {
        const int64_t at = t - block * kBlockTokens, to = (t - first) * stride + head * size;
        for (int64_t c = 0; c < size; ++c) {
          keys[to + c] = floats[static_cast<size_t>(c * kBlockTokens + at)];
          values[to + c] = of_values[at * size + c];
        }
      }
    }
  }
}

int64_t KvCache::bytes() const {
  int64_t total = ring_.bytes();
  for (const Tensor& slab : slabs_) total += slab.bytes();
  return total;
}

int64_t KvCache::used_bytes() const {
  const int64_t blocks = blocks_of(tokens_);
  const int64_t in_format = quantizes() ? quantized_ : blocks;
  return options_.heads *
         (in_format * block_.bytes() + (blocks - in_format) * float_block().bytes());
}

kv::BlockRun KvCache::run(int64_t head, int64_t block) const {
  const int64_t in_format = quantizes() ? quantized_ : blocks_of(tokens_);
  const int64_t position = block * kBlockTokens;
  if (block >= in_format) {
    const int64_t in_ring = ring_blocks() - block % ring_blocks();
    return {float_block(), ring_block(head, block), std::min(in_ring, blocks_of(tokens_) - block),
            float_block().bytes(), position};
  }
  const Place place = place_of(block);
  const int64_t in_slab = slab_blocks(place.slab) - place.index;
  return {block_, slab_block(head, block), std::min(in_slab, in_format - block), block_.bytes(),
          position};
}

}  // namespace fewbit
