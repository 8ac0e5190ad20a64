#pragma once
// Rows of activations and of results: plain loops, vectorized for the target of the file that
// includes this (rows_*.cpp).

#include <algorithm>
#include <bit>

#include "kernels/few_bit/few_bit_core.h"

namespace fewbit::few_bit {
namespace {

// Magnitudes compare as their bits do; infinity and NaN have the largest.
uint32_t largest_bits(const float* x, int64_t count) {
  uint32_t largest = 0;
  for (int64_t k = 0; k < count; ++k) {
    largest = std::max(largest, std::bit_cast<uint32_t>(x[k]) & 0x7fffffffU);
  }
  return largest;
}

void round_to_bytes(const RoundJob& job) {
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: its sum with a small number is an integer
  const float* x = job.x;
  int8_t* out = job.q;
  int32_t* sum_out = job.sums;
  for (int64_t left = job.count; left > 0; left -= job.piece, out += job.piece_stride) {
    const int64_t count = std::min(left, job.piece);
    int32_t sum = 0;
    for (int64_t k = 0; k < count; ++k) {
      const auto q = static_cast<int32_t>((x[k] * job.inverse + kRounder) - kRounder);
      out[k] = static_cast<int8_t>(q);
      sum += q;
    }
    std::fill(out + count, out + job.piece, int8_t{0});
    *sum_out++ = sum;
    x += count;
  }
}

// y = total * unit * scale + bias
void finish_row(const FinishJob& job) {
  for (int64_t n = 0; n < job.count; ++n) {
    job.y[n] = job.total[n] * job.unit[n] * job.scale + job.bias[n];
  }
}

}  // namespace
}  // namespace fewbit::few_bit
