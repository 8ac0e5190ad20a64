#pragma once
// Attention of few rows of queries: codes are multiplied where they lie, row by row, while a block
// is in the first-level cache. Included by rows_*.cpp only, after plane_codec.h.
//
// Both sums of kv_format.h are a row vector times a plane. With integer codes, x * scale is rounded
// to 15 bits with one step for all rows of the plane,
//
//   x[row] scale[row] ~ step * (128 high[row] + low[row]),  |high| <= 127, -64 <= low <= 63,
//   step = max |x scale| / 16256
//
// and the products with the codes are exact in int32: 64 to 256 rows of 255 * 16320 fit. An
// error of at most step / 2 * sum of codes is all that this rounds.

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
  out.step = usable ? largest / kFoldedSteps : 0;
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

// Count vectors of columns of out = step * (x times codes) + base.
template <class L, KvFormat Format, int Count>
void integer_columns(const Plane& plane, const uint8_t* codes, const Folded& x, int64_t ahead,
                     float* out) {
  using V = typename L::V;
  constexpr int kRows = kLaneRows<Format>;
  constexpr int64_t kBytes = 4 * V::kLanes;
  typename V::I high[Count], low[Count];
#pragma GCC unroll 16
  for (int n = 0; n < Count; ++n) high[n] = low[n] = V::set_int(0);
  const int64_t stride = plane.row_stride();
  for (int row = 0; row < plane.rows; row += kRows, codes += stride) {
    const auto multiply = [&](int n, typename V::I four, int at) __attribute__((always_inline)) {
      high[n] = L::template dot<bits_of(Format)>(high[n], four, four_bytes<L>(x.high + at));
      low[n] = L::template dot<bits_of(Format)>(low[n], four, four_bytes<L>(x.low + at));
    };
#pragma GCC unroll 16
    for (int n = 0; n < Count; ++n) {
      const auto line = V::load_wide(reinterpret_cast<const int32_t*>(codes + n * kBytes));
      L::prefetch(codes + n * kBytes + ahead);
      if constexpr (Format == KvFormat::kInt8) {
        multiply(n, line, row);
      } else {
        const auto mask = V::set_int(0x0f0f0f0f);
        multiply(n, V::and_int(line, mask), row);
        multiply(n, V::and_int(V::template shift_right<4>(line), mask), row + 4);
      }
    }
  }
#pragma GCC unroll 16
  for (int n = 0; n < Count; ++n) {
    const auto sum = V::add_int(V::template shift_left<7>(high[n]), low[n]);
    V::store(out + n * V::kLanes, V::fma(V::to_float(sum), V::set(x.step), V::set(x.base)));
  }
}

// The same in float32: out = (x times levels) * finish + base. Two sums a column, so that fused
// multiply-adds overlap.
template <class L, KvFormat Format, int Count>
void float_columns(const Plane& plane, const uint8_t* codes, const float* x, float finish,
                   float base, int64_t ahead, float* out) {
  using V = typename L::V;
  constexpr int kRows = kLaneRows<Format>;
  constexpr int kSums = 2;
  constexpr int64_t kBytes = 4 * V::kLanes;
  typename V::F sum[kSums][Count];
  for (auto& row : sum) {
    for (auto& s : row) s = V::set(0);
  }
  const int64_t stride = plane.row_stride();
  // A lane of float32 holds one row: two of them are taken at a time, as of the others.
  constexpr int kLines = Format == KvFormat::kFloat32 ? 2 : 1;
  for (int row = 0; row < plane.rows; row += kRows * kLines) {
#pragma GCC unroll 2
    for (int i = 0; i < kLines; ++i, codes += stride) {
#pragma GCC unroll 16
      for (int n = 0; n < Count; ++n) {
        const auto line = V::load_wide(reinterpret_cast<const int32_t*>(codes + n * kBytes));
        L::prefetch(codes + n * kBytes + ahead);
        unrolled<kRows>([&](auto r) __attribute__((always_inline)) {
          typename V::F& s = sum[(i + r) % kSums][n];
          s = V::fma(level<L, Format, r>(line), V::set(x[row + i + r]), s);
        });
      }
    }
  }
#pragma GCC unroll 16
  for (int n = 0; n < Count; ++n) {
    V::store(out + n * V::kLanes,
             V::fma(V::add(sum[0][n], sum[1][n]), V::set(finish), V::set(base)));
  }
}

// Columns [first, last) of out, which share their scales.
template <class L, KvFormat Format>
FEWBIT_INLINE_TEMPLATE void columns(const Plane& plane, const uint8_t* codes, const float* x,
                                    const Folded& folded, int first, int last, int64_t ahead,
                                    float* out) {
  constexpr int kLanes = L::V::kLanes;
  constexpr bool kIntegers = Format == KvFormat::kInt8 || Format == KvFormat::kInt4;
  constexpr int kMost = kIntegers ? L::kIntegerColumns : L::kFloatColumns;
  const bool scaled = has_scales(Format);
  const float finish = scaled ? kFp8Half : 1, base = scaled ? folded.base : 0;
  const float* factors = scaled ? folded.x : x;
  const auto run = [&](auto count, int col) __attribute__((always_inline)) {
    if constexpr (kIntegers) {
      integer_columns<L, Format, count>(plane, codes + 4 * col, folded, ahead, out + col);
    } else {
      float_columns<L, Format, count>(plane, codes + 4 * col, factors, finish, base, ahead,
                                      out + col);
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

/// out[col] = sum over rows of x[row] * plane[row, col].
template <class L, KvFormat Format>
void times_plane(const Plane& plane, const uint8_t* data, const float* x, int64_t ahead,
                 float* out) {
  const auto* pairs = reinterpret_cast<const uint32_t*>(data);
  const uint8_t* codes = data + plane.scale_bytes();
  Folded folded;
  for (int first = 0, g = 0; first < plane.cols; first += plane.group, ++g) {
    const int last = first + plane.group < plane.cols ? first + plane.group : plane.cols;
    if constexpr (Format == KvFormat::kFp8) {
      fold_scales<L>(x, pairs + g * plane.rows, plane.rows, kFp8Half, folded);
    } else if constexpr (has_scales(Format)) {
      fold_to_bytes<L>(x, pairs + g * plane.rows, plane.rows, folded);
    }
    columns<L, Format>(plane, codes, x, folded, first, last, ahead, out);
  }
}

template <class L, KvFormat Format>
void few_rows_of_block(const Block& block, const uint8_t* data, int64_t position, const Rows& rows,
                       int64_t ahead) {
  using V = typename L::V;
  const int size = block.head_size;
  const Plane keys = block.keys(), values = block.values();
  alignas(64) float scores[kBlockTokens];
  alignas(64) float sums[kMaxHeadSize];
  for (int64_t r = 0; r < rows.count; ++r) {
    if (rows.begin[r] >= position + kBlockTokens || rows.end[r] <= position) continue;
    times_plane<L, Format>(keys, data, rows.q + r * size, ahead, scores);
    const float kept = update_softmax<L>(rows, r, position, scores, kBlockTokens);
    times_plane<L, Format>(values, data + keys.bytes(), scores, ahead, sums);
    float* out = rows.out + r * size;
    for (int c = 0; c < size; c += V::kLanes) {
      V::store(out + c, V::fma(V::load(out + c), V::set(kept), V::load(sums + c)));
    }
    ahead = 0;  // what comes has been asked for
  }
}

template <class L>
void few_rows(std::span<const BlockRun> runs, const Rows& rows, int64_t ahead) {
  for (const BlockRun& run : runs) {
    with_format(run.block.format, [&](auto format) {
      for (int64_t b = 0; b < run.count; ++b) {
        few_rows_of_block<L, format>(run.block, run.first + b * run.stride,
                                     run.position + b * kBlockTokens, rows, ahead);
      }
    });
  }
}

}  // namespace
}  // namespace fewbit::kv
