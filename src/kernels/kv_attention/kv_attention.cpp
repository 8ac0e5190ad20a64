#include "kernels/kv_attention/kv_attention.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace fewbit {
namespace kv {
namespace {

// Queries of one key-value head: with more, a block is decoded once for all of them. So many rows
// fit the registers of the other way in two turns; where the two cross has not been measured.
constexpr int64_t kFewRows = 8;
// How far ahead of a line that is read another is asked for, measured on the same.
constexpr int64_t kAheadBytes = 1024;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

int64_t blocks_of(int64_t tokens) {
  return (tokens + kBlockTokens - 1) / kBlockTokens;
}

// Rows of one head of one sequence, and the blocks that any of them sees.
struct Item {
  const AttentionSequence* sequence = nullptr;
  int64_t head = 0;
  int64_t row = 0, rows = 0;  // row r: token r / group, head * group + r % group of q
  int64_t block = 0, blocks = 0;
  int64_t work_before = 0;  // of the items before it

  // Blocks, and one for those that see nothing but have to be written.
  int64_t units() const { return std::max<int64_t>(blocks, 1); }
  int64_t work() const { return units() * rows; }
};

struct Range {
  int64_t begin, end;
};

class Attention {
 public:
  Attention(std::span<const AttentionSequence> batch, const AttentionOptions& options, int threads)
      : options_(options), threads_(threads), cache_(*batch[0].cache) {
    size_ = cache_.options().head_size;
    group_ = options.heads / cache_.options().heads;
    scale_ = options.scale != 0 ? options.scale
                                : static_cast<float>(1 / std::sqrt(static_cast<double>(size_)));
    for (const AttentionSequence& sequence : batch) {
      FEWBIT_CHECK(sequence.cache->options().heads * group_ == options.heads, options.heads);
      FEWBIT_CHECK(sequence.cache->options().head_size == size_, size_);
      FEWBIT_CHECK(!options.causal || sequence.tokens <= sequence.cache->tokens());
      most_rows_ = std::max(most_rows_, sequence.tokens * group_);
    }
    choose_chunk(batch);
    for (const AttentionSequence& sequence : batch) add_items(sequence);
    // Waking a thread takes as long as attending to a few blocks.
    constexpr int64_t kUnitsPerThread = 8;
    threads_ = static_cast<int>(std::clamp<int64_t>(work_ / kUnitsPerThread, 1, threads));
  }

  void run() {
    if (items_.empty()) return;
    const int64_t bytes = threads_ * space_bytes();
    static thread_local Tensor space;
    if (!space.defined() || space.bytes() < bytes) {
      space = Tensor::uninitialized(DType::kUint8, {bytes});
    }
    uint8_t* const memory = space.data<uint8_t>();
#pragma omp parallel num_threads(threads_)
    {
      // OpenMP may give fewer threads: the parts are the same.
      const int first = omp_get_thread_num(), step = omp_get_num_threads();
      for (int part = first; part < threads_; part += step) {
        for (const Item& item : items_) attend_part(item, part, memory);
      }
#pragma omp barrier
      for (int part = first; part < threads_; part += step) {
        for (const Item& item : items_) merge_parts(item, part, memory);
      }
    }
  }

 private:
  // The running softmax of a part of an item.
  struct State {
    float *max, *sum, *out;
  };
  // A thread's memory: operands, and three states: of an item that is its own, of the rest of one
  // that another thread began, and of one that another will end.
  enum StateKind { kOwn, kContinued, kBegun };
  static constexpr int kStates = 3;

  void choose_chunk(std::span<const AttentionSequence> batch) {
    chunk_ = kMaxRows;
    // Small enough to go round, and for parts of a causal triangle to be alike.
    const auto items = [&] {
      return static_cast<int64_t>(batch.size()) * cache_.options().heads *
             ((most_rows_ + chunk_ - 1) / chunk_);
    };
    constexpr int64_t kLeastRows = 64, kItemsPerThread = 4;
    while (threads_ > 1 && chunk_ > kLeastRows && items() < kItemsPerThread * threads_) {
      chunk_ /= 2;
    }
  }

  Range visible(const AttentionSequence& sequence, int64_t row) const {
    const int64_t tokens = sequence.cache->tokens();
    const int64_t position = tokens - sequence.tokens + row / group_;
    Range r{0, options_.causal ? position + 1 : tokens};
    if (options_.window > 0) r.begin = std::max<int64_t>(0, position + 1 - options_.window);
    r.begin = std::min(r.begin, r.end);
    return r;
  }

  void add_items(const AttentionSequence& sequence) {
    const int64_t rows = sequence.tokens * group_;
    for (int64_t head = 0; head < cache_.options().heads; ++head) {
      for (int64_t row = 0; row < rows; row += chunk_) {
        Item item{.sequence = &sequence,
                  .head = head,
                  .row = row,
                  .rows = std::min(chunk_, rows - row),
                  .work_before = work_};
        item.block = visible(sequence, row).begin / kBlockTokens;
        item.blocks = blocks_of(visible(sequence, row + item.rows - 1).end) - item.block;
        work_ += item.work();
        items_.push_back(item);
      }
    }
  }

  // The units of an item that are a thread's: all items in a row are cut into equal work.
  Range part_of(const Item& item, int thread) const {
    const auto cut = [&](int64_t t) {
      const int64_t work = work_ * t / threads_ - item.work_before;
      return std::clamp<int64_t>(work / item.rows, 0, item.units());
    };
    return {cut(thread), cut(thread + 1)};
  }

  int64_t chunk_rows() const {
    return (std::min(chunk_, most_rows_) + 15) / 16 * 16;
  }
  int64_t state_floats() const {
    return chunk_rows() * (size_ + 2);
  }
  int64_t space_bytes() const {
    const int64_t operands = chunk_rows() * (size_ * 4 + 2 * 8);
    return kScratchBytes + (operands + kStates * state_floats() * 4 + 63) / 64 * 64;
  }
  State state(uint8_t* memory, int thread, StateKind kind) const {
    uint8_t* space = memory + thread * space_bytes() + kScratchBytes;
    space += chunk_rows() * (size_ * 4 + 2 * 8);
    float* out = reinterpret_cast<float*>(space) + kind * state_floats();
    return {out + chunk_rows() * size_, out + chunk_rows() * (size_ + 1), out};
  }

  void attend_part(const Item& item, int thread, uint8_t* memory) const {
    const Range part = part_of(item, thread);
    if (part.begin == part.end) return;
    const bool begins = part.begin == 0, ends = part.end == item.units();
    const State s = state(memory, thread, !begins ? kContinued : !ends ? kBegun : kOwn);
    std::fill_n(s.max, item.rows, kMinusInfinity);
    std::fill_n(s.sum, item.rows, 0.0F);
    std::fill_n(s.out, (item.rows + 15) / 16 * 16 * size_, 0.0F);
    attend(item, {item.block + part.begin, item.block + std::min(part.end, item.blocks)}, s,
           memory + thread * space_bytes());
    if (begins && ends) write(item, s);
  }

  void attend(const Item& item, Range blocks, const State& s, uint8_t* space) const {
    const KvCache& cache = *item.sequence->cache;
    auto* q = reinterpret_cast<float*>(space + kScratchBytes);
    auto* begin = reinterpret_cast<int64_t*>(q + chunk_rows() * size_);
    int64_t* end = begin + chunk_rows();
    for (int64_t r = 0; r < item.rows; ++r) {
      const Range seen = visible(*item.sequence, item.row + r);
      begin[r] = seen.begin;
      end[r] = seen.end;
      // Rows of one head lie far apart.
      constexpr int64_t kRowsAhead = 4;
      if (r + kRowsAhead < item.rows) prefetch(q_row(item, r + kRowsAhead));
      if (!copy_scaled(q_row(item, r), q + r * size_)) s.sum[r] = kNan;
    }
    // Slabs double, and the float32 window is a ring: there are few runs.
    std::array<BlockRun, 64> runs;
    size_t count = 0;
    for (int64_t block = blocks.begin; block < blocks.end;) {
      BlockRun run = cache.run(item.head, block);
      run.count = std::min(run.count, blocks.end - block);
      block += run.count;
      runs[count++] = run;
    }
    const Rows rows{.count = item.rows,
                    .q = q,
                    .begin = begin,
                    .end = end,
                    .softcap = options_.softcap,
                    .max = s.max,
                    .sum = s.sum,
                    .out = s.out};
    const Kernels& kernels = cache.kernels();
    const std::span<const BlockRun> all(runs.data(), count);
    if (item.rows <= kFewRows) {
      kernels.vector->few(all, rows, kAheadBytes);
    } else if (kernels.tile != nullptr && cache.options().format != KvFormat::kFloat32) {
      kernels.tile->many(all, rows, space);
    } else {
      kernels.vector->many(all, rows, space);
    }
  }

  const float* q_row(const Item& item, int64_t r) const {
    const AttentionSequence& s = *item.sequence;
    const int64_t row = item.row + r;
    const int64_t stride = s.q_stride != 0 ? s.q_stride : options_.heads * size_;
    return s.q + row / group_ * stride + (item.head * group_ + row % group_) * size_;
  }
  float* out_row(const Item& item, int64_t r) const {
    const AttentionSequence& s = *item.sequence;
    const int64_t row = item.row + r;
    const int64_t stride = s.out_stride != 0 ? s.out_stride : options_.heads * size_;
    return s.out + row / group_ * stride + (item.head * group_ + row % group_) * size_;
  }

  void prefetch(const float* row) const {
    constexpr int64_t kLineFloats = 16;
    for (int64_t c = 0; c < size_; c += kLineFloats) __builtin_prefetch(row + c);
  }

  // False, and zeros, where a value is not finite.
  bool copy_scaled(const float* q, float* to) const {
    // By their bits, which the compiler takes many at a time.
    constexpr uint32_t kExponent = 0x7f800000;
    uint32_t not_finite = 0;
    for (int64_t c = 0; c < size_; ++c) {
      to[c] = q[c] * scale_;
      not_finite |= (std::bit_cast<uint32_t>(to[c]) & kExponent) == kExponent ? 1U : 0U;
    }
    if (not_finite == 0) return true;
    std::fill_n(to, size_, 0.0F);
    return false;
  }

  void write(const Item& item, const State& s) const {
    for (int64_t r = 0; r < item.rows; ++r) {
      float* out = out_row(item, r);
      const float inverse = s.sum[r] == 0 ? 0 : 1 / s.sum[r];
      for (int64_t c = 0; c < size_; ++c) out[c] = s.out[r * size_ + c] * inverse;
    }
  }

  // Whoever began an item adds up what others went on with, and writes it.
  void merge_parts(const Item& item, int thread, uint8_t* memory) const {
    const Range own = part_of(item, thread);
    if (own.begin != 0 || own.end == 0 || own.end == item.units()) return;
    const State s = state(memory, thread, kBegun);
    for (int other = thread + 1; other < threads_; ++other) {
      const Range part = part_of(item, other);
      if (part.begin < part.end) merge(item.rows, state(memory, other, kContinued), s);
    }
    write(item, s);
  }

  // Softmax over two sets of positions is that over each, weighted by its sum.
  void merge(int64_t rows, const State& from, const State& to) const {
    for (int64_t r = 0; r < rows; ++r) {
      const float max = std::max(from.max[r], to.max[r]);
      const float shift = max > kMinusInfinity ? max : 0;
      const float a = std::exp(to.max[r] - shift), b = std::exp(from.max[r] - shift);
      to.max[r] = max;
      to.sum[r] = to.sum[r] * a + from.sum[r] * b;
      for (int64_t c = 0; c < size_; ++c) {
        to.out[r * size_ + c] = to.out[r * size_ + c] * a + from.out[r * size_ + c] * b;
      }
    }
  }

  const AttentionOptions& options_;
  int threads_;
  const KvCache& cache_;  // the first: heads and their size are those of all
  int64_t size_ = 0, group_ = 1;
  float scale_ = 1;
  int64_t most_rows_ = 0, chunk_ = 0;
  int64_t work_ = 0;
  std::vector<Item> items_;
};

}  // namespace
}  // namespace kv

void attend(std::span<const AttentionSequence> batch, const AttentionOptions& options,
            int threads) {
  if (!batch.empty()) kv::Attention(batch, options, std::max(threads, 1)).run();
}

}  // namespace fewbit
