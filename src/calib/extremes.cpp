#include "calib/extremes.h"

#include <algorithm>

namespace fewbit {
namespace {

constexpr int64_t kBlock = 1 << 14;

// In sixteen lanes, which the compiler keeps in vector registers.
__attribute__((target_clones("avx512f", "avx2", "default"))) Extremes extremes_of_block(
    const float* values, int64_t n) {
  constexpr int kLanes = 16;
  float low[kLanes], high[kLanes], poison[kLanes];
  int32_t zeros[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    low[l] = high[l] = values[0];
    poison[l] = 0;
    zeros[l] = 0;
  }
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      float v = values[i + l];
      low[l] = v < low[l] ? v : low[l];
      high[l] = v > high[l] ? v : high[l];
      poison[l] += v * 0.0F;  // NaN as soon as v is NaN or infinite
      zeros[l] += v == 0.0F ? 1 : 0;
    }
  }
  for (; i < n; ++i) {
    float v = values[i];
    low[0] = v < low[0] ? v : low[0];
    high[0] = v > high[0] ? v : high[0];
    poison[0] += v * 0.0F;
    zeros[0] += v == 0.0F ? 1 : 0;
  }
  Extremes e{low[0], high[0], 0, true};
  for (int l = 0; l < kLanes; ++l) {
    e.low = std::min(e.low, low[l]);
    e.high = std::max(e.high, high[l]);
    e.zeros += zeros[l];
    e.all_finite = e.all_finite && poison[l] == 0;
  }
  return e;
}

}  // namespace

Extremes extremes_of(std::span<const float> values) {
  Extremes all;
  bool first = true;
  for (size_t at = 0; at < values.size(); at += kBlock) {
    auto n = static_cast<int64_t>(std::min<size_t>(kBlock, values.size() - at));
    Extremes e = extremes_of_block(values.data() + at, n);
    all.low = first ? e.low : std::min(all.low, e.low);
    all.high = first ? e.high : std::max(all.high, e.high);
    all.zeros += e.zeros;
    all.all_finite = all.all_finite && e.all_finite;
    first = false;
  }
  return all;
}

}  // namespace fewbit
