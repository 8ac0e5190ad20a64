#pragma once
// Attention of few rows of queries: codes are multiplied where they lie, up to four rows at a time.
// Included by rows_*.cpp only, after the policy.
//
// Both sums of kv_format.h are row vectors times a plane. With integer codes, x * scale is rounded
// to 15 bits with one step for all rows of the plane,
//
//   x[row] scale[row] ~ step * (128 high[row] + low[row]),  |high| <= 127, -64 <= low <= 63,
//   step = max |x scale| / 16256
//
// and the products with the codes are exact in int32: 256 rows of 255 * 16320 fit. An error of at
// most step / 2 * sum of codes is all that this rounds.

#include "kernels/kv_attention/kv_core.h"
#include "kernels/kv_attention/plane_codec.h"
#include "kernels/kv_attention/softmax_rows.h"

namespace fewbit::kv {
namespace {

/// A row vector made ready for a plane: its scales folded in.
struct Folded {
  alignas(64) float x[kMaxHeadSize];
  alignas(64) int8_t high[kMaxHeadSize];
  alignas(64) int8_t low[kMaxHeadSize];
  float step;
  float base;  ///< sum of x * offset
};

inline constexpr float kFoldedSteps = 127 * 128;
inline constexpr int kMostRows = 4;
inline constexpr int kLinesWhileFolding = 8;

// x * scale, and what the offsets add to every column. Returns max |x * scale|.
template <class L>
FEWBIT_INLINE_TEMPLATE float fold_scales(const float* x, const uint32_t* pairs, int rows,
                                         float factor, Folded& out) {
  using V = typename L::V;
  typename V::F largest = V::set(0), base = V::set(0);
  for (int r = 0; r < rows; r += V::kLanes) {
    const Affine<L> a = load_affine<L>(pairs + r);
    const auto v = V::load(x + r);
    const auto scaled = V::mul(v, V::mul(a.scale, V::set(factor)));
    V::store(out.x + r, scaled);
    largest = V::max(largest, V::abs(scaled));
    base = V::fma(v, a.offset, base);
  }
  out.base = V::sum(base);
  return V::largest(largest);
}

template <class L>
FEWBIT_INLINE_TEMPLATE void fold_to_bytes(const float* x, const uint32_t* pairs, int rows,
                                          Folded& out) {
  using V = typename L::V;
  const float largest = fold_scales<L>(x, pairs, rows, 1, out);
  // Smaller ones would have no reciprocal; what they add is below any float that matters.
  const bool usable = largest > 0x1p-100F && largest < 0x1p126F;
  out.step = usable ? largest * (1 / kFoldedSteps) : 0;
  const auto inverse = V::set(usable ? kFoldedSteps / largest : 0);
  for (int r = 0; r < rows; r += V::kLanes) {
    const auto q = V::to_int(V::mul(V::load(out.x + r), inverse));
    const auto half = V::set_int(64);
    const auto low = V::sub_int(V::and_int(V::add_int(q, half), V::set_int(127)), half);
    V::store_narrow(out.low + r, low);
    V::store_narrow(out.high + r, V::template shift_right<7>(V::sub_int(q, low)));
  }
}

template <class L>
FEWBIT_INLINE_TEMPLATE typename L::V::I four_bytes(const int8_t* p) {
  int32_t word;
  __builtin_memcpy(&word, p, 4);
  return L::V::set_int(word);
}

// A plane of codes and what it is multiplied with, R row vectors.
template <int R>
struct PlaneProduct {
  const Plane* plane;
  const uint8_t* codes;
  const float* x[R];        ///< as given
  const Folded* folded[R];  ///< where there are scales
  float* out[R];
  int64_t ahead;  ///< bytes to the line that is prefetched
};

// Adds four rows' products: sum += 128 high and low parts apart.
template <class L, KvFormat Format, int R>
FEWBIT_INLINE_TEMPLATE void multiply_four(const PlaneProduct<R>& p, typename L::V::I codes, int row,
                                          typename L::V::I (&high)[R], typename L::V::I (&low)[R]) {
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
    L::template dot<bits_of(Format)>(high[r], codes, four_bytes<L>(p.folded[r]->high + row));
    L::template dot<bits_of(Format)>(low[r], codes, four_bytes<L>(p.folded[r]->low + row));
  }
}

// Count vectors of columns from `col` on of out = step * (x times codes) + base.
template <class L, KvFormat Format, int R, int Count>
void integer_columns(const PlaneProduct<R>& p, int col) {
  using V = typename L::V;
  constexpr int kRows = kLaneRows<Format>;
  typename V::I high[Count][R], low[Count][R];
  unrolled<Count>([&](auto n) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) high[n][r] = low[n][r] = V::set_int(0);
  });
  const int64_t stride = p.plane->row_stride();
  const uint8_t* codes = p.codes + 4 * col;
  for (int row = 0; row < p.plane->rows; row += kRows, codes += stride) {
    unrolled<Count>([&](auto n) __attribute__((always_inline)) {
      const uint8_t* line_at = codes + n * 4 * V::kLanes;
      const auto line = V::load_wide(reinterpret_cast<const int32_t*>(line_at));
      L::prefetch(line_at + p.ahead);
      if constexpr (Format == KvFormat::kInt8) {
        multiply_four<L, Format>(p, line, row, high[n], low[n]);
      } else {
        const auto mask = V::set_int(0x0f0f0f0f);
        multiply_four<L, Format>(p, V::and_int(line, mask), row, high[n], low[n]);
        const auto upper = V::and_int(V::template shift_right<4>(line), mask);
        multiply_four<L, Format>(p, upper, row + 4, high[n], low[n]);
      }
    });
  }
  unrolled<Count>([&](auto n) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const auto sum = V::add_int(V::template shift_left<7>(high[n][r]), low[n][r]);
      V::store(p.out[r] + col + n * V::kLanes,
               V::fma(V::to_float(sum), V::set(p.folded[r]->step), V::set(p.folded[r]->base)));
    }
  });
}

// The same in float32: out = (x times levels) * finish + base. At least two sums a column, so that
// fused multiply-adds overlap.
template <class L, KvFormat Format, int R, int Count>
void float_columns(const PlaneProduct<R>& p, int col) {
  using V = typename L::V;
  constexpr int kRows = kLaneRows<Format>;
  constexpr int kSums = R == 1 ? 2 : 1;
  typename V::F sum[Count][R][kSums];
  unrolled<Count>([&](auto n) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
      for (int i = 0; i < kSums; ++i) sum[n][r][i] = V::set(0);
    }
  });
  const float* x[R];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) x[r] = has_scales(Format) ? p.folded[r]->x : p.x[r];
  const int64_t stride = p.plane->row_stride();
  // A lane of float32 holds one row: two of them are taken at a time, as of the others.
  constexpr int kLines = Format == KvFormat::kFloat32 ? 2 : 1;
  const uint8_t* codes = p.codes + 4 * col;
  for (int row = 0; row < p.plane->rows; row += kRows * kLines) {
    unrolled<kLines>([&](auto i) __attribute__((always_inline)) {
      unrolled<Count>([&](auto n) __attribute__((always_inline)) {
        const uint8_t* line_at = codes + n * 4 * V::kLanes;
        const auto line = V::load_wide(reinterpret_cast<const int32_t*>(line_at));
        L::prefetch(line_at + p.ahead);
        unrolled<kRows>([&](auto k) __attribute__((always_inline)) {
          const auto value = level<L, Format, k>(line);
#pragma GCC unroll 4
          for (int r = 0; r < R; ++r) {
            typename V::F& s = sum[n][r][(i + k) % kSums];
            s = V::fma(value, V::set(x[r][row + i + k]), s);
          }
        });
      });
      codes += stride;
    });
  }
  unrolled<Count>([&](auto n) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      typename V::F s = sum[n][r][0];
      if constexpr (kSums == 2) s = V::add(s, sum[n][r][1]);
      if constexpr (has_scales(Format)) {
        s = V::fma(s, V::set(kFp8Half), V::set(p.folded[r]->base));
      }
      V::store(p.out[r] + col + n * V::kLanes, s);
    }
  });
}

// Columns [first, last), which share their scales.
template <class L, KvFormat Format, int R>
FEWBIT_INLINE_TEMPLATE void columns(const PlaneProduct<R>& p, int first, int last) {
  constexpr int kLanes = L::V::kLanes;
  constexpr bool kIntegers = Format == KvFormat::kInt8 || Format == KvFormat::kInt4;
  constexpr int kMost = L::kSums / R / 2 < 1 ? 1 : L::kSums / R / 2;
  const auto run = [&](auto count, int col) __attribute__((always_inline)) {
    if constexpr (kIntegers) {
      integer_columns<L, Format, R, count>(p, col);
    } else {
      float_columns<L, Format, R, count>(p, col);
    }
  };
  int col = first;
  for (; col + kMost * kLanes <= last; col += kMost * kLanes) {
    run(std::integral_constant<int, kMost>{}, col);
  }
  const int rest = (last - col) / kLanes;
  unrolled<kMost - 1>([&](auto i) __attribute__((always_inline)) {
    if (rest == i + 1) run(std::integral_constant<int, i + 1>{}, col);
  });
}

/// out[r][col] = sum over rows of x[r][row] * plane[row, col], for R vectors x.
template <class L, KvFormat Format, int R>
void times_plane(const Plane& plane, const uint8_t* data, const float* const (&x)[R], int64_t ahead,
                 float* const (&out)[R]) {
  const auto* pairs = reinterpret_cast<const uint32_t*>(data);
  Folded folded[R];
  PlaneProduct<R> p;
  p.plane = &plane;
  p.codes = data + plane.scale_bytes();
  p.ahead = ahead;
  for (int r = 0; r < R; ++r) {
    p.x[r] = x[r];
    p.folded[r] = &folded[r];
    p.out[r] = out[r];
  }
  // So that memory is not idle meanwhile.
  for (int i = 0; i < kLinesWhileFolding; ++i) L::prefetch(p.codes + ahead + 64 * i);
  for (int first = 0, g = 0; first < plane.cols; first += plane.group, ++g) {
    const int last = first + plane.group < plane.cols ? first + plane.group : plane.cols;
    for (int r = 0; r < R; ++r) {
      if constexpr (Format == KvFormat::kFp8) {
        fold_scales<L>(x[r], pairs + g * plane.rows, plane.rows, kFp8Half, folded[r]);
      } else if constexpr (has_scales(Format)) {
        fold_to_bytes<L>(x[r], pairs + g * plane.rows, plane.rows, folded[r]);
      }
    }
    columns<L, Format, R>(p, first, last);
  }
}

template <class L, KvFormat Format, int R>
void few_rows_of_block(const Block& block, const uint8_t* data, int64_t position, const Rows& rows,
                       int64_t row, int64_t ahead) {
  using V = typename L::V;
  const int size = block.head_size;
  const Plane keys = block.keys(), values = block.values();
  alignas(64) float scores[R][kBlockTokens];
  alignas(64) float sums[R][kMaxHeadSize];
  const float *q[R], *weights[R];
  float *to_scores[R], *to_sums[R], kept[R];
  for (int r = 0; r < R; ++r) {
    q[r] = rows.q + (row + r) * size;
    weights[r] = to_scores[r] = scores[r];
    to_sums[r] = sums[r];
  }
  times_plane<L, Format, R>(keys, data, q, ahead, to_scores);
  for (int r = 0; r < R; ++r) {
    kept[r] = update_softmax<L>(rows, row + r, position, scores[r], kBlockTokens);
  }
  times_plane<L, Format, R>(values, data + keys.bytes(), weights, ahead, to_sums);
  for (int r = 0; r < R; ++r) {
    float* out = rows.out + (row + r) * size;
    for (int c = 0; c < size; c += V::kLanes) {
      V::store(out + c, V::fma(V::load(out + c), V::set(kept[r]), V::load(sums[r] + c)));
    }
  }
}

// Rows that see nothing of a block may stand beside others that do: all its weights are zero then.
template <class L, KvFormat Format>
void few_rows_of_run(const BlockRun& run, const Rows& rows, int64_t ahead) {
  for (int64_t b = 0; b < run.count; ++b) {
    const uint8_t* data = run.first + b * run.stride;
    const int64_t position = run.position + b * kBlockTokens;
    for (int64_t row = 0; row < rows.count; row += kMostRows) {
      // Only the first rows read the block from memory.
      const int64_t fetch = row == 0 ? ahead : 0;
      const int64_t left = rows.count - row;
      unrolled<kMostRows>([&](auto i) {
        constexpr int kCount = i + 1;
        if (left == kCount || (kCount == kMostRows && left > kCount)) {
          few_rows_of_block<L, Format, kCount>(run.block, data, position, rows, row, fetch);
        }
      });
    }
  }
}

template <class L>
void few_rows(std::span<const BlockRun> runs, const Rows& rows, int64_t ahead) {
  for (const BlockRun& run : runs) {
    with_format(run.block.format,
                [&](auto format) { few_rows_of_run<L, format>(run, rows, ahead); });
  }
}

}  // namespace
}  // namespace fewbit::kv
