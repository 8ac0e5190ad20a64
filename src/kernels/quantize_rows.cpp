#include "kernels/quantize_rows.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

namespace fewbit {

float quantize_row(const float* x, int64_t count, int8_t* q) {
  // Magnitudes compare as their bits do; infinity and NaN have the largest.
  uint32_t largest_bits = 0;
  for (int64_t k = 0; k < count; ++k) {
    largest_bits = std::max(largest_bits, std::bit_cast<uint32_t>(x[k]) & 0x7fffffffU);
  }
  const bool finite = largest_bits < 0x7f800000U;
  const float scale = finite ? std::bit_cast<float>(largest_bits) / 127.0F : 0.0F;
  if (scale < std::numeric_limits<float>::min()) {
    std::memset(q, 0, static_cast<size_t>(count));
    return finite ? 0.0F : std::numeric_limits<float>::quiet_NaN();
  }
  const float inverse = 1.0F / scale;
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: its sum with a small number is an integer
  for (int64_t k = 0; k < count; ++k) {
    q[k] = static_cast<int8_t>(static_cast<int32_t>((x[k] * inverse + kRounder) - kRounder));
  }
  return scale;
}

void sum_groups(const int8_t* q, int64_t count, int64_t group_elems, int32_t* sums) {
  for (int64_t begin = 0; begin < count; begin += group_elems) {
    const int64_t end = std::min(begin + group_elems, count);
    int32_t sum = 0;
    for (int64_t k = begin; k < end; ++k) sum += q[k];
    *sums++ = sum;
  }
}

}  // namespace fewbit
