#include "kernels/pointwise/binary/binary.h"

#include <cmath>

#include "kernels/pointwise/unary/unary.h"
#include "kernels/pointwise/vec/parallel.h"
#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

/// Indexed by each operand's step: 0 repeats its one value, 1 walks along.
struct BinaryRow {
  void (*of[2][2])(const float*, const float*, float*, int64_t);
};
struct BinaryTable {
  BinaryRow ops[kBinaryOpCount - 1];  // all but kPow, in the order of BinaryOp
  void (*add_clip[2][2])(const float*, const float*, float*, int64_t, float, float);
  void (*scale_shift_span)(const float*, float*, int64_t, float, float);
  void (*scale_shift_row)(const float*, float*, int64_t, const float*, const float*);
};

}  // namespace
}  // namespace fewbit::pointwise

#define FEWBIT_LOOPS "kernels/pointwise/binary/binary_loops.h"
#include "kernels/pointwise/vec/variants.h"

namespace fewbit::pointwise {

namespace {

const BinaryTable& table() {
  return pick(scalar::kTable, avx2::kTable, avx512::kTable);
}

void power_span(const float* a, const float* b, float* dst, int64_t n, int64_t a_step,
                int64_t b_step) {
  for (int64_t i = 0; i < n; ++i) dst[i] = std::pow(a[i * a_step], b[i * b_step]);
}

/// a to one power; false if that exponent has no shortcut.
bool power_of_all(const float* a, float exponent, float* dst, int64_t n) {
  if (exponent == 2.0f) {
    unary({UnaryOp::kSquare}, a, dst, n);
  } else if (exponent == 1.0f) {
    unary({UnaryOp::kIdentity}, a, dst, n);
  } else if (exponent == -1.0f) {
    unary({UnaryOp::kReciprocal}, a, dst, n);
  } else if (exponent == 0.5f) {
    // pow(-0, 1/2) is +0 and pow(-inf, 1/2) is +inf; sqrt differs there only.
    unary({UnaryOp::kSqrt}, a, dst, n);
    for (int64_t i = 0; i < n; ++i)
      if (dst[i] == 0.0f || std::isinf(a[i])) dst[i] = std::pow(a[i], exponent);
  } else if (exponent == 3.0f) {
    parallel_elems(n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) dst[i] = a[i] * a[i] * a[i];
    });
  } else {
    return false;
  }
  return true;
}

void power(const BroadcastLoops& loops, const float* a, const float* b, float* dst) {
  if (loops.rank == 1 && loops.b_stride[0] == 0 && loops.a_stride[0] == 1 &&
      power_of_all(a, *b, dst, loops.elems))
    return;
  for_each_piece(loops, [&](int64_t ia, int64_t ib, int64_t o, int64_t n, int64_t sa, int64_t sb) {
    power_span(a + ia, b + ib, dst + o, n, sa, sb);
  });
}

}  // namespace

void binary(BinaryOp op, const BroadcastLoops& loops, const float* a, const float* b, float* dst) {
  if (op == BinaryOp::kPow) return power(loops, a, b, dst);
  const BinaryRow& row = table().ops[static_cast<size_t>(op)];
  for_each_piece(loops, [&](int64_t ia, int64_t ib, int64_t o, int64_t n, int64_t sa, int64_t sb) {
    row.of[sa][sb](a + ia, b + ib, dst + o, n);
  });
}

void add_clip(const BroadcastLoops& loops, const float* a, const float* b, float* dst, float lo,
              float hi) {
  const BinaryTable& t = table();
  for_each_piece(loops, [&](int64_t ia, int64_t ib, int64_t o, int64_t n, int64_t sa, int64_t sb) {
    t.add_clip[sa][sb](a + ia, b + ib, dst + o, n, lo, hi);
  });
}

void scale_shift_planes(const float* src, float* dst, int64_t n, int64_t channels, int64_t pixels,
                        const float* scale, const float* shift) {
  const auto run = table().scale_shift_span;
  parallel_rows(n * channels, pixels, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      run(src + r * pixels, dst + r * pixels, pixels, scale[r % channels], shift[r % channels]);
  });
}

void scale_shift_channels_last(const float* src, float* dst, int64_t rows, int64_t channels,
                               const float* scale, const float* shift) {
  const auto run = table().scale_shift_row;
  parallel_rows(rows, channels, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      run(src + r * channels, dst + r * channels, channels, scale, shift);
  });
}

}  // namespace fewbit::pointwise
