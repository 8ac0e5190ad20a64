#pragma once
// Attention of many rows of queries by register-tiled products in float32: a block is decoded once
// and stays in the caches while all rows pass. Included by rows_*.cpp only, after few_rows.h.

#include "kernels/kv_attention/kv_core.h"
#include "kernels/kv_attention/plane_codec.h"
#include "kernels/kv_attention/softmax_rows.h"

namespace fewbit::kv {
namespace {

/// A float32 product: out[m, col] = kept[m] * out[m, col] + sum over k of a[m, k] * b[k, col].
struct FloatProduct {
  const float* a;
  int64_t a_stride;
  const float* b;
  int64_t cols;  ///< of b, and between its rows
  int depth;
  float* out;
  int64_t out_stride;
  const float* kept;  ///< nullptr: 0, and out is not read
};

template <class L, int M, int Count>
FEWBIT_INLINE_TEMPLATE void product_tile(const FloatProduct& p, int64_t col) {
  using V = typename L::V;
  typename V::F sum[M][Count];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int n = 0; n < Count; ++n) {
      const float* out = p.out + m * p.out_stride + col + n * V::kLanes;
      sum[m][n] = p.kept == nullptr ? V::set(0) : V::mul(V::load(out), V::set(p.kept[m]));
    }
  }
  const float* b = p.b + col;
  for (int k = 0; k < p.depth; ++k, b += p.cols) {
    typename V::F line[Count];
#pragma GCC unroll 8
    for (int n = 0; n < Count; ++n) line[n] = V::load(b + n * V::kLanes);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const auto x = V::set(p.a[m * p.a_stride + k]);
#pragma GCC unroll 8
      for (int n = 0; n < Count; ++n) sum[m][n] = V::fma(x, line[n], sum[m][n]);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int n = 0; n < Count; ++n) {
      V::store(p.out + m * p.out_stride + col + n * V::kLanes, sum[m][n]);
    }
  }
}

template <class L, int M>
void product_rows(const FloatProduct& p) {
  constexpr int kCount = L::kTileColumns, kLanes = L::V::kLanes;
  int64_t col = 0;
  for (; col + kCount * kLanes <= p.cols; col += kCount * kLanes) {
    product_tile<L, M, kCount>(p, col);
  }
  for (; col < p.cols; col += kLanes) product_tile<L, M, 1>(p, col);
}

// Rows [r, r + M) against one decoded block.
template <class L, int M>
void many_rows_of_block(const Block& block, const float* keys, const float* values,
                        int64_t position, const Rows& rows, int64_t r) {
  const int size = block.head_size;
  alignas(64) float scores[M * kBlockTokens];
  float kept[M];
  product_rows<L, M>({.a = rows.q + r * size,
                      .a_stride = size,
                      .b = keys,
                      .cols = kBlockTokens,
                      .depth = size,
                      .out = scores,
                      .out_stride = kBlockTokens,
                      .kept = nullptr});
  for (int m = 0; m < M; ++m) {
    kept[m] = update_softmax<L>(rows, r + m, position, scores + m * kBlockTokens, kBlockTokens);
  }
  product_rows<L, M>({.a = scores,
                      .a_stride = kBlockTokens,
                      .b = values,
                      .cols = size,
                      .depth = kBlockTokens,
                      .out = rows.out + r * size,
                      .out_stride = size,
                      .kept = kept});
}

template <class L>
void many_rows(std::span<const BlockRun> runs, const Rows& rows, uint8_t* scratch) {
  constexpr int kRows = L::kTileRows;
  auto* keys = reinterpret_cast<float*>(scratch);
  for (const BlockRun& run : runs) {
    const Block& block = run.block;
    float* values = keys + kBlockTokens * block.head_size;
    for (int64_t b = 0; b < run.count; ++b) {
      const uint8_t* data = run.first + b * run.stride;
      const int64_t position = run.position + b * kBlockTokens;
      decode_plane<L>(block.keys(), data, keys);
      decode_plane<L>(block.values(), data + block.keys().bytes(), values);
      const auto seen = [&](int64_t r) {
        return rows.begin[r] < position + kBlockTokens && rows.end[r] > position;
      };
      // Visible ranges move forward with the rows: a tile sees nothing if neither end does.
      int64_t r = 0;
      for (; r + kRows <= rows.count; r += kRows) {
        if (!seen(r) && !seen(r + kRows - 1)) continue;
        many_rows_of_block<L, kRows>(block, keys, values, position, rows, r);
      }
      for (; r < rows.count; ++r) {
        if (seen(r)) many_rows_of_block<L, 1>(block, keys, values, position, rows, r);
      }
    }
  }
}

}  // namespace
}  // namespace fewbit::kv
