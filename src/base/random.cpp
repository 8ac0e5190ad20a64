#include "base/random.h"

#include <cmath>

#include "base/check.h"

namespace fewbit {
namespace {

/// Natural logarithm of x in (0, 1), from exactly rounded operations only: the C library's differs
/// in its last bit between platforms. log(m 2^e) = e log 2 + 2 atanh((m - 1) / (m + 1)); with m in
/// [1/sqrt 2, sqrt 2) the argument s is below 0.1716, and the series to s^21 is exact to 2^-60.
double portable_log(double x) {
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);
  if (mantissa < 0.70710678118654752) {
    mantissa *= 2;
    --exponent;
  }
  const double s = (mantissa - 1) / (mantissa + 1);
  const double s2 = s * s;
  double sum = 0;
  for (int k = 21; k >= 1; k -= 2) sum = sum * s2 + 1.0 / k;
  return exponent * 0.69314718055994531 + 2 * s * sum;
}

}  // namespace

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) {  // SplitMix64
    seed += 0x9e3779b97f4a7c15;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    word = z ^ (z >> 31);
  }
}

float Random::uniform(float low, float high) {
  // 24 bits are exact in a float; the clamp undoes a rounding up to `high` itself.
  const float share = static_cast<float>(next() >> 40) * 0x1p-24F;
  const float value = low + share * (high - low);
  return value < high ? value : low;
}

uint64_t Random::below(uint64_t bound) {
  FEWBIT_CHECK(bound > 0);
  // D. Lemire, "Fast Random Integer Generation in an Interval", 2019: the high half of a product,
  // drawing again for the 2^64 mod bound lowest values of the low half.
  const uint64_t rejected = -bound % bound;
  for (;;) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(next()) * bound;
    if (static_cast<uint64_t>(product) >= rejected) return static_cast<uint64_t>(product >> 64);
  }
}

double Random::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_normal_;
  }
  for (;;) {
    const double u = 2 * uniform() - 1;
    const double v = 2 * uniform() - 1;
    const double s = u * u + v * v;
    if (s >= 1 || s == 0) continue;
    const double factor = std::sqrt(-2 * portable_log(s) / s);
    spare_normal_ = v * factor;
    has_spare_ = true;
    return u * factor;
  }
}

void Random::fill_uniform(std::span<float> out, float low, float high) {
  for (float& x : out) x = uniform(low, high);
}

void Random::fill_normal(std::span<float> out, float mean, float deviation) {
  for (float& x : out) x = mean + deviation * static_cast<float>(normal());
}

}  // namespace fewbit
