#pragma once
// Smallest and largest value of a tensor, at memory speed.

#include <cstdint>
#include <span>

namespace fewbit {

struct Extremes {
  float low = 0, high = 0;  ///< meaningless unless all_finite
  int64_t zeros = 0;        ///< values equal to 0
  bool all_finite = true;   ///< no NaN, no infinity
};

/// Of all values; of none: {0, 0, 0, true}.
Extremes extremes_of(std::span<const float> values);

}  // namespace fewbit
