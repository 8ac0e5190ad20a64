#pragma once
// The tile kernel, written once over a vector policy V of 16 int32 lanes. An ISA file sets its
// target (#pragma GCC target), includes its policy, then this header, and puts
// TileKernel<V>::run into its table row.
//
// Everything here is in an unnamed namespace: two ISA files must never share a compiled body. For
// the same reason no standard library template is used.
//
// A policy has types I (16 int32), F (16 float), W (64 bytes of a packed line of B), A (4 bytes of
// A in every lane) and the functions used below; kMaxRows[p] is the tile height for p panels.

#include <cstdint>

#include "kernels/int8_gemm/int8_core.h"

namespace fewbit::int8 {
namespace {

#define FEWBIT_INLINE inline __attribute__((always_inline))

inline constexpr int kAccStride = kTileCols;

/// Addresses of the rows of A: up to seven rows from each of two base registers need only the
/// stride, its triple and its quintuple, so that 14 rows fit in the general registers. The empty
/// asm statement keeps the compiler from deriving all rows from one base again.
template <int R>
struct RowBases {
  static constexpr int kHalf = (R + 1) / 2;
  static_assert(kHalf <= 7);
  const uint8_t* base[2];
  int64_t stride, stride3, stride5;

  FEWBIT_INLINE explicit RowBases(const TileArgs& t)
      : base{t.a[0], t.a[1]}, stride(t.a_stride), stride3(3 * stride), stride5(5 * stride) {
    __asm__("" : "+r"(base[0]), "+r"(base[1]), "+r"(stride3), "+r"(stride5));
  }
  FEWBIT_INLINE const uint8_t* row(int r) const {
    const uint8_t* from = base[r / kHalf];
    switch (r % kHalf) {
      case 3:
        return from + stride3;
      case 5:
        return from + stride5;
      case 6:
        return from + 2 * stride3;
      default:
        return from + (r % kHalf) * stride;
    }
  }
  FEWBIT_INLINE void advance(int64_t bytes) {
    base[0] += bytes;
    base[1] += bytes;
  }
};

/// Sums of a tile of R rows and P panels. Few rows leave too few independent sums to hide the
/// latency of the dot product, so k is then split over kSplit sets of sums.
template <class V, int R, int P>
struct TileSums {
  static constexpr int kSplit = R * P >= 8 ? 1 : (R * P >= 4 ? 2 : 4);
  typename V::I sum[R][P];

  FEWBIT_INLINE void compute(const TileArgs& t) {
    typename V::I part[kSplit][R][P];
#pragma GCC unroll 4
    for (int s = 0; s < kSplit; ++s) {
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
        for (int p = 0; p < P; ++p) {
          part[s][r][p] =
              s == 0 ? V::load_i(t.start + r * t.start_stride + p * kPanelCols) : V::set_i(0);
        }
      }
    }
    RowBases<R> a(t);
    const int8_t* b = t.b;
    const int64_t panel_bytes = t.panel_bytes;
    int64_t at = 0;
    for (int run = 0; run < t.runs; ++run) {
      a.advance(t.run_offset[run] - at);
      at = t.run_offset[run] + t.run_bytes;
      int64_t k = t.run_bytes;
      for (; k >= 4 * kSplit; k -= 4 * kSplit) {
#pragma GCC unroll 4
        for (int s = 0; s < kSplit; ++s) {
          step(a, b, panel_bytes, part[s]);
          a.advance(4);
          b += 64;
        }
      }
      if constexpr (kSplit > 1) {
        for (; k > 0; k -= 4) {
          step(a, b, panel_bytes, part[0]);
          a.advance(4);
          b += 64;
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        sum[r][p] = part[0][r][p];
#pragma GCC unroll 4
        for (int s = 1; s < kSplit; ++s) sum[r][p] = V::add_i(sum[r][p], part[s][r][p]);
      }
    }
  }

  static FEWBIT_INLINE void step(const RowBases<R>& a, const int8_t* b, int64_t panel_bytes,
                                 typename V::I (&part)[R][P]) {
    typename V::W w[P];
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) w[p] = V::load_w(b + p * panel_bytes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const typename V::A x = V::load_a(a.row(r));
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) part[r][p] = V::dp(part[r][p], x, w[p]);
    }
  }
};

/// float(acc) * scale -> 8-bit value, clamped to [lo, hi].
template <class V>
FEWBIT_INLINE typename V::I requantize(typename V::I acc, typename V::F scale, const Stage& s) {
  typename V::F x = V::mul(V::to_f(acc), scale);
  x = V::max(x, V::set_f(static_cast<float>(s.lo - s.zero)));
  x = V::min(x, V::set_f(static_cast<float>(s.hi - s.zero)));
  return V::add_i(V::round(x), V::set_i(s.zero));
}

/// ONNX Runtime's QLinearAdd: two fused multiply-adds, rounded, then clamped.
template <class V>
FEWBIT_INLINE typename V::I add_residual(typename V::I q, typename V::I residual, const Stage& s) {
  const typename V::F x = V::to_f(q);
  const typename V::F y = V::to_f(residual);
  const typename V::F rx = V::set_f(s.product_ratio);
  const typename V::F ry = V::set_f(s.residual_ratio);
  const typename V::F fixed = V::set_f(s.fixed);
  typename V::F sum =
      s.residual_first ? V::fma(y, ry, V::fma(x, rx, fixed)) : V::fma(x, rx, V::fma(y, ry, fixed));
  sum = V::max(sum, V::set_f(static_cast<float>(s.lo2)));
  sum = V::min(sum, V::set_f(static_cast<float>(s.hi2)));
  return V::round(sum);
}

/// Sixteen columns (n of them exist) of one row: from sums to stored results.
template <class V>
FEWBIT_INLINE void finish_lane(const FinishArgs& f, typename V::I acc, int row, int col, int n) {
  const Stage& s = *f.stage;
  const int64_t column = f.column + col;
  if (f.row_zero != nullptr) {
    acc = V::sub_i(acc, V::mul_i(V::set_i(f.row_zero[row]), V::load_i(f.col_sum + column)));
  }
  if (f.row_sum != nullptr) {
    acc = V::sub_i(acc, V::mul_i(V::set_i(f.row_sum[row]), V::load_i(f.col_zero + column)));
  }
  uint8_t* out = f.out + row * f.out_stride;
  if (s.type == DType::kInt32) {
    V::store_i_n(reinterpret_cast<int32_t*>(out) + col, acc, n);
    return;
  }
  typename V::F scale = V::load_f(s.scale + column);
  if (s.type == DType::kFloat32) {
    if (f.row_scale != nullptr) scale = V::mul(V::set_f(f.row_scale[row]), scale);
    typename V::F x = V::mul(V::to_f(acc), scale);
    if (s.float_bias != nullptr) x = V::add(x, V::load_f(s.float_bias + column));
    x = V::min(V::max(x, V::set_f(s.float_lo)), V::set_f(s.float_hi));
    V::store_f_n(reinterpret_cast<float*>(out) + col, x, n);
    return;
  }
  typename V::I q = requantize<V>(acc, scale, s);
  if (s.add) {
    const uint8_t* residual = f.residual + row * f.residual_stride + col;
    const typename V::I y =
        s.type == DType::kUint8 ? V::load_u8_n(residual, n) : V::load_s8_n(residual, n);
    q = add_residual<V>(q, y, s);
  }
  V::store_low_bytes_n(out + col, q, n);
}

/// Finishes sums that lie in memory, kAccStride apart.
template <class V>
__attribute__((noinline)) void finish_rows(const int32_t* acc, int rows, const FinishArgs& f) {
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < f.cols; c += kPanelCols) {
      const int n = f.cols - c < kPanelCols ? f.cols - c : kPanelCols;
      finish_lane<V>(f, V::load_i(acc + r * kAccStride + c), r, c, n);
    }
    if (f.stage->lut == nullptr) continue;
    uint8_t* out = f.out + r * f.out_stride;
    for (int c = 0; c < f.cols; ++c) out[c] = f.stage->lut[out[c]];
  }
}

/// From one tile to the next.
FEWBIT_INLINE void next_tile(TileArgs& t, FinishArgs& f) {
  t.a[0] += t.a_next;
  t.a[1] += t.a_next;
  f.out += t.rows * f.out_stride;
  if (f.residual != nullptr) f.residual += t.rows * f.residual_stride;
  if (f.row_scale != nullptr) f.row_scale += t.rows;
  if (f.row_zero != nullptr) f.row_zero += t.rows;
  if (f.row_sum != nullptr) f.row_sum += t.rows;
  t.start += t.rows * t.start_stride;
  if (t.partial != nullptr) t.partial += t.rows * kTileCols;
}

template <class V, int R, int P>
struct Tile {
  static void run(const TileArgs& tiles, const FinishArgs& finish) {
    TileArgs t = tiles;
    FinishArgs f = finish;
    for (int i = 0; i < tiles.tiles; ++i) {
      one(t, f);
      next_tile(t, f);
    }
  }

  static FEWBIT_INLINE void one(const TileArgs& t, const FinishArgs& f) {
    TileSums<V, R, P> sums;
    sums.compute(t);
    if (t.partial != nullptr) return store(sums, t.partial);
    if (V::template store_fused<R, P>(sums.sum, f)) return;
    alignas(64) int32_t acc[R * kAccStride];
    store(sums, acc);
    finish_rows<V>(acc, R, f);
  }

  static FEWBIT_INLINE void store(const TileSums<V, R, P>& sums, int32_t* to) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        V::store_i(to + r * kAccStride + p * kPanelCols, sums.sum[r][p]);
      }
    }
  }
};

template <class V, int P, int... R>
constexpr auto make_tiles() {
  struct Table {
    void (*run[sizeof...(R)])(const TileArgs&, const FinishArgs&);
  };
  return Table{{&Tile<V, R, P>::run...}};
}

#undef FEWBIT_INLINE

}  // namespace
}  // namespace fewbit::int8
