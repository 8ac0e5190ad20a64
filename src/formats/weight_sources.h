#pragma once
// The two sources that formats are measured on (tests, benchmarks): weights of trained networks lie
// between them.

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/random.h"

namespace fewbit {

/// Independent normal values with mean 0 and variance 1.
inline std::vector<float> normal_values(int64_t count, uint64_t seed) {
  std::vector<float> values(static_cast<size_t>(count));
  Random(seed).fill_normal(values, 0, 1);
  return values;
}

/// Student's t with 4 degrees of freedom over sqrt(2): variance 1, heavy tails (no fourth moment).
inline std::vector<float> student_values(int64_t count, uint64_t seed) {
  std::vector<float> values(static_cast<size_t>(count));
  Random random(seed);
  for (float& value : values) {
    const double numerator = random.normal();
    double chi_squared = 0;
    for (int k = 0; k < 4; ++k) {
      const double x = random.normal();
      chi_squared += x * x;
    }
    value = static_cast<float>(numerator / std::sqrt(chi_squared / 4) / std::sqrt(2.0));
  }
  return values;
}

}  // namespace fewbit
