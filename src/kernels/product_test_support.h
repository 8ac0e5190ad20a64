#pragma once
// For the tests of products with activations rounded to int8.

#include <cmath>
#include <vector>

#include "base/random.h"
#include "formats/format.h"

namespace fewbit {
namespace {

inline std::vector<float> normal_floats(int64_t count, uint64_t seed) {
  std::vector<float> v(static_cast<size_t>(count));
  Random(seed).fill_normal(v, 0, 1);
  return v;
}

inline PackedMatrix packed_normal(const char* format, int64_t n, int64_t k, uint64_t seed) {
  const std::vector<float> w = normal_floats(n * k, seed);
  return *encode(*parse_format(format), {w, n, k, {}}, {.search = false});
}

/// The contract of these products in double: decoded weights and int8 activations exactly,
/// everything else without rounding; and the sum of magnitudes that a rounding error is measured
/// by.
struct RoundedProduct {
  std::vector<double> y, magnitude;
};

/// x [m, w.cols], bias [w.rows] or empty.
inline RoundedProduct rounded_product(const PackedMatrix& w, const std::vector<float>& x, int64_t m,
                                      const std::vector<float>& bias) {
  const std::vector<float> weights = decode(w);
  RoundedProduct out;
  for (int64_t i = 0; i < m; ++i) {
    const float* row = x.data() + i * w.cols;
    float largest = 0;
    for (int64_t k = 0; k < w.cols; ++k) largest = std::max(largest, std::fabs(row[k]));
    const float scale = largest / 127.0F;
    const float inverse = scale > 0 ? 1.0F / scale : 0;
    for (int64_t n = 0; n < w.rows; ++n) {
      double y = bias.empty() ? 0.0 : bias[static_cast<size_t>(n)];
      double magnitude = std::abs(y);
      for (int64_t k = 0; k < w.cols; ++k) {
        const double q = std::nearbyintf(row[k] * inverse);
        const double product =
            static_cast<double>(scale) * q * weights[static_cast<size_t>(n * w.cols + k)];
        y += product;
        magnitude += std::abs(product);
      }
      out.y.push_back(y);
      out.magnitude.push_back(magnitude);
    }
  }
  return out;
}

}  // namespace
}  // namespace fewbit
