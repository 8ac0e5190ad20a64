#pragma once
// Attention of many rows of queries on tiles of bfloat16, over a tile wrapper T (kernels/tile.h)
// and a policy L for what is not a product. Included by rows_*.cpp only, after many_rows.h.
//
// A step takes up to 256 positions: their keys and values are decoded once to bfloat16 planes,
// which already are tiles of B (kv_format.h), and all rows of queries pass, 32 at a time. 2 x 2
// tiles of sums share two tiles of A (rows) and two of B (columns), as in int8_gemm/amx_kernel.h:
//
//                 B columns (6)   B columns + 16 (7)
//   A rows (4)       sums 0          sums 1
//   A rows + 16 (5)  sums 2          sums 3

#include "kernels/kv_attention/kv_core.h"
#include "kernels/kv_attention/plane_codec.h"
#include "kernels/kv_attention/softmax_rows.h"
#include "kernels/tile.h"

namespace fewbit::kv {
namespace {

inline constexpr int kStepBlocks = 4;
inline constexpr int kStepTokens = kStepBlocks * kBlockTokens;
inline constexpr int kTileRowPair = 32;
inline constexpr int kDepth = 32;  // bfloat16 in a row of a tile

/// A product of bfloat16: out[m, col] (+)= sum over k of a[m, k] * b[k, col]. Rows are taken 32 at
/// a time, or 16; columns too.
struct TileProduct {
  const uint16_t* a;
  int64_t a_stride;   ///< elements
  const uint16_t* b;  ///< pairs of rows, interleaved
  int64_t cols;       ///< of b
  int depth;          ///< a multiple of 32
  float* out;
  int64_t out_stride;
  bool add;  ///< to what is in out
};

template <class T, bool High, bool Two>
void tile_product(const TileProduct& p, int64_t col) {
  alignas(64) static constexpr float kZeros[16] = {};
  const int64_t out_bytes = p.out_stride * 4;
  float* out = p.out + col;
  float* below = out + 16 * p.out_stride;
  const auto from = [&](float* sums) { return p.add ? sums : kZeros; };
  const int64_t start_bytes = p.add ? out_bytes : 0;
  T::template load<0>(from(out), start_bytes);
  if (Two) T::template load<1>(from(out + 16), start_bytes);
  if (High) T::template load<2>(from(below), start_bytes);
  if (High && Two) T::template load<3>(from(below + 16), start_bytes);
  const int64_t a_bytes = p.a_stride * 2, b_bytes = p.cols * 4;
  for (int k = 0; k < p.depth; k += kDepth) {
    const uint16_t* a = p.a + k;
    const uint16_t* b = p.b + k * p.cols + 2 * col;
    T::template load<6>(b, b_bytes);
    T::template load<4>(a, a_bytes);
    T::template dot_bf16<0, 4, 6>();
    if (High) {
      T::template load<5>(a + 16 * p.a_stride, a_bytes);
      T::template dot_bf16<2, 5, 6>();
    }
    if (!Two) continue;
    T::template load<7>(b + 32, b_bytes);
    T::template dot_bf16<1, 4, 7>();
    if (High) T::template dot_bf16<3, 5, 7>();
  }
  T::template store<0>(out, out_bytes);
  if (Two) T::template store<1>(out + 16, out_bytes);
  if (High) T::template store<2>(below, out_bytes);
  if (High && Two) T::template store<3>(below + 16, out_bytes);
}

template <class T, bool High>
void tile_product_rows(const TileProduct& p) {
  int64_t col = 0;
  for (; col + 32 <= p.cols; col += 32) tile_product<T, High, true>(p, col);
  if (col < p.cols) tile_product<T, High, false>(p, col);
}

template <class T>
void tile_product_rows(const TileProduct& p, int rows) {
  rows > 16 ? tile_product_rows<T, true>(p) : tile_product_rows<T, false>(p);
}

/// Where a call keeps its operands. Sizes are those of the largest head.
struct TileScratch {
  alignas(64) uint16_t keys[kStepTokens * kMaxHeadSize];
  alignas(64) uint16_t values[kStepTokens * kMaxHeadSize];
  alignas(64) uint16_t q[kMaxRows * kMaxHeadSize];
  alignas(64) float scores[kTileRowPair * kStepTokens];
  alignas(64) uint16_t weights[kTileRowPair * kStepTokens];
};
static_assert(sizeof(TileScratch) <= kScratchBytes);

/// Channels as the keys' products take them: filled up with zeros.
constexpr int padded_depth(int head_size) {
  return (head_size + kDepth - 1) / kDepth * kDepth;
}

template <class L>
void to_bf16_row(const float* from, int count, uint16_t* to) {
  using V = typename L::V;
  for (int i = 0; i < count; i += V::kLanes) {
    V::store_narrow(to + i, V::template shift_right<16>(rounded_bf16<L>(V::load(from + i))));
  }
}

// A plane as bfloat16, rows filled up to `rows`.
template <class L>
void decode_tiles(const Plane& plane, const uint8_t* from, int rows, uint16_t* to) {
  using V = typename L::V;
  with_format(plane.format, [&](auto format) {
    if constexpr (format == KvFormat::kBfloat16) {
      __builtin_memcpy(to, from, static_cast<size_t>(plane.code_bytes()));
    } else {
      if constexpr (kLaneRows<format> == 1) {
        const auto* x = reinterpret_cast<const float*>(from);
        for (int row = 0; row < plane.rows; row += 2, x += 2 * plane.cols) {
          uint16_t* line = to + row * plane.cols;
          for (int col = 0; col < plane.cols; col += V::kLanes) {
            V::store_narrow(reinterpret_cast<int32_t*>(line + 2 * col),
                            pair_bf16<L>(V::load(x + col), V::load(x + plane.cols + col)));
          }
        }
      } else {
        typename V::F even = V::set(0);
        each_vector<L, format>(plane, from, [&](int row, int col, typename V::F value) {
          if (row % 2 == 0) {
            even = value;
          } else {
            V::store_narrow(reinterpret_cast<int32_t*>(to + (row - 1) * plane.cols + 2 * col),
                            pair_bf16<L>(even, value));
          }
        });
      }
    }
  });
  const int64_t filled = int64_t{plane.rows} * plane.cols;
  __builtin_memset(to + filled, 0, static_cast<size_t>((int64_t{rows} * plane.cols - filled) * 2));
}

/// Blocks that are decoded at a time.
struct Step {
  int blocks = 0;
  int64_t position[kStepBlocks];
};

template <class T, class L>
class TileRows {
 public:
  TileRows(const Rows& rows, int head_size, TileScratch& scratch)
      : rows_(rows), size_(head_size), depth_(padded_depth(head_size)), s_(scratch) {
    for (int64_t r = 0; r < rows.count; ++r) {
      uint16_t* q = s_.q + r * depth_;
      to_bf16_row<L>(rows.q + r * size_, size_, q);
      for (int c = size_; c < depth_; ++c) q[c] = 0;
    }
    const int64_t filled = (rows.count + 15) / 16 * 16;
    for (int64_t i = rows.count * depth_; i < filled * depth_; ++i) s_.q[i] = 0;
  }

  void add_block(const Block& block, const uint8_t* data, int64_t position) {
    uint16_t* keys = s_.keys + step_.blocks * kBlockTokens * depth_;
    uint16_t* values = s_.values + step_.blocks * kBlockTokens * size_;
    decode_tiles<L>(block.keys(), data, depth_, keys);
    decode_tiles<L>(block.values(), data + block.keys().bytes(), kBlockTokens, values);
    step_.position[step_.blocks++] = position;
    if (step_.blocks == kStepBlocks) finish_step();
  }

  void finish_step() {
    if (step_.blocks == 0) return;
    const int64_t first = step_.position[0];
    const int64_t end = first + step_.blocks * kBlockTokens;
    for (int64_t r = 0; r < rows_.count; r += kTileRowPair) {
      const int64_t last = std::min(r + kTileRowPair, rows_.count) - 1;
      if (rows_.end[last] <= first || rows_.begin[r] >= end) continue;
      row_pair(r, static_cast<int>(last + 1 - r));
    }
    step_.blocks = 0;
  }

 private:
  void row_pair(int64_t r, int count) {
    const int tokens = step_.blocks * kBlockTokens;
    for (int b = 0; b < step_.blocks; ++b) {
      tile_product_rows<T>({.a = s_.q + r * depth_,
                            .a_stride = depth_,
                            .b = s_.keys + b * kBlockTokens * depth_,
                            .cols = kBlockTokens,
                            .depth = depth_,
                            .out = s_.scores + b * kBlockTokens,
                            .out_stride = tokens,
                            .add = false},
                           count);
    }
    float* out = rows_.out + r * size_;
    for (int m = 0; m < count; ++m) {
      float* scores = s_.scores + m * tokens;
      const float kept = update_softmax<L>(rows_, r + m, step_.position[0], scores, tokens);
      to_bf16_row<L>(scores, tokens, s_.weights + m * tokens);
      if (kept != 1) scale_row(out + m * size_, kept);
    }
    tile_product_rows<T>({.a = s_.weights,
                          .a_stride = tokens,
                          .b = s_.values,
                          .cols = size_,
                          .depth = tokens,
                          .out = out,
                          .out_stride = size_,
                          .add = true},
                         count);
  }

  void scale_row(float* out, float factor) {
    using V = typename L::V;
    for (int c = 0; c < size_; c += V::kLanes) {
      V::store(out + c, V::mul(V::load(out + c), V::set(factor)));
    }
  }

  const Rows& rows_;
  int size_, depth_;
  TileScratch& s_;
  Step step_;
};

template <class T, class L>
void tile_rows(std::span<const BlockRun> runs, const Rows& rows, uint8_t* scratch) {
  if (runs.empty()) return;
  TileConfig config;
  for (int t = 0; t < 8; ++t) config.set(t, 16, 64);
  T::configure(config);
  TileRows<T, L> tiles(rows, runs[0].block.head_size, *reinterpret_cast<TileScratch*>(scratch));
  for (const BlockRun& run : runs) {
    for (int64_t b = 0; b < run.count; ++b) {
      tiles.add_block(run.block, run.first + b * run.stride, run.position + b * kBlockTokens);
    }
  }
  tiles.finish_step();
  T::release();
}

}  // namespace
}  // namespace fewbit::kv
