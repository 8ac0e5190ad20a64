#pragma once
// Keys and values of the tokens that a layer has seen, of one sequence: float32 in, any KvFormat
// kept. kv_format.h draws the memory.
//
// Formats without scales take each token as it comes. The others quantize a block of 64 tokens at
// once, when it is full and none of its tokens is among the `window` last; until then it is kept in
// float32 (the residual of KIVI, section 3.3). So the newest window to window + 63 tokens are
// exact.
//
// Memory grows in slabs, each as large as all before it: nothing moves when tokens are appended.

#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/tensor.h"
#include "kernels/isa.h"
#include "kernels/kv_attention/kv_core.h"
#include "kernels/kv_attention/kv_format.h"

namespace fewbit {

struct KvCacheOptions {
  int64_t heads = 1;       ///< of keys and values
  int64_t head_size = 64;  ///< channels: a multiple of 16, at most 256
  KvFormat format = KvFormat::kBfloat16;
  /// Channels of a value that share a scale: a multiple of 16. 0: the head, but 64 for int4.
  int64_t value_group = 0;
  int64_t window = 0;  ///< newest tokens that are kept in float32, where the format has scales
  /// Tokens to make room for at once. What goes beyond is added as needed.
  int64_t reserve = 0;
};

/// Movable, not copyable. Any number of threads may read it while none changes it.
class KvCache {
 public:
  /// Errors (kUnsupported): a head size or group that has no layout, an instruction set that is not
  /// here (default: selected_isa()).
  static Result<KvCache> create(const KvCacheOptions& options,
                                std::optional<Isa> isa = std::nullopt);

  /// The same with kernels of the caller's choice: for tests of all rows of the table.
  static Result<KvCache> create(const KvCacheOptions& options, const kv::Kernels& kernels);

  /// Bytes that a cache of these options takes for `tokens` tokens, if reserved at once.
  static Result<int64_t> planned_bytes(const KvCacheOptions& options, int64_t tokens);

  /// Appends `count` tokens: keys and values [count, heads, head_size], tokens `stride` elements
  /// apart (0: heads * head_size). A NaN or infinity makes NaN of what attends to its block.
  void append(const float* keys, const float* values, int64_t count, int64_t stride, int threads);

  /// Forgets all but the first `tokens` (no more than there are) and gives back what they leave.
  /// A quantized block that is cut goes back to float32 as it is: until it is full again its tokens
  /// are what they were, and quantizing it anew changes them by up to a step more.
  void truncate(int64_t tokens);

  /// Tokens [first, first + count) as attention sees them, to [count, heads, head_size].
  void read(int64_t first, int64_t count, float* keys, float* values) const;

  int64_t tokens() const { return tokens_; }
  /// Bytes allocated.
  int64_t bytes() const;
  /// Bytes of the blocks that hold tokens: what attention to all of them reads.
  int64_t used_bytes() const;
  const KvCacheOptions& options() const { return options_; }
  const kv::Kernels& kernels() const { return kernels_; }
  Isa isa() const { return kernels_.isa; }

  /// The blocks of `head` from number `block` on that lie in a row; at least one, where tokens() is
  /// beyond it. For the kernels.
  kv::BlockRun run(int64_t head, int64_t block) const;

 private:
  KvCache() = default;

  bool quantizes() const { return kv::has_scales(options_.format); }
  kv::Block float_block() const { return block_.in_float(); }
  int64_t ring_blocks() const;
  uint8_t* ring_block(int64_t head, int64_t block) const;
  /// Where a block lies in the slabs.
  struct Place {
    size_t slab;
    int64_t index;  ///< within the slab
  };
  Place place_of(int64_t block) const;
  int64_t slab_blocks(size_t slab) const;
  uint8_t* slab_block(int64_t head, int64_t block) const;
  void grow_to(int64_t blocks);
  void append_head(int64_t head, const float* keys, const float* values, int64_t count,
                   int64_t stride);
  int64_t blocks_to_quantize(int64_t tokens) const;

  KvCacheOptions options_;
  kv::Kernels kernels_;
  kv::Block block_{};
  int64_t first_slab_blocks_ = 0;
  std::vector<Tensor> slabs_;
  Tensor ring_;  ///< float32 blocks that are not quantized yet, [heads, ring_blocks]
  int64_t tokens_ = 0;
  int64_t quantized_ = 0;  ///< blocks
};

}  // namespace fewbit
