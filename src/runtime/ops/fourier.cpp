#include "runtime/ops/fourier.h"

#include <cmath>
#include <cstdint>
#include <numbers>

namespace fewbit::ops {
namespace {

int64_t smallest_factor(int64_t n) {
  for (int64_t f = 2; f * f <= n; ++f) {
    if (n % f == 0) return f;
  }
  return n;
}

}  // namespace

Fourier::Fourier(int64_t n, bool inverse) : roots_(static_cast<size_t>(n)) {
  const double turn = (inverse ? 2.0 : -2.0) * std::numbers::pi / static_cast<double>(n);
  for (int64_t j = 0; j < n; ++j) {
    roots_[static_cast<size_t>(j)] = std::polar(1.0, turn * static_cast<double>(j));
  }
}

void Fourier::run(const std::complex<double>* x, std::complex<double>* y) const {
  std::vector<std::complex<double>> scratch(roots_.size());
  run(x, length(), 1, y, scratch.data());
}

// Cooley and Tukey, 1965: n = p m. The p transforms of length m over every p-th element, then m
// combinations of p of their results each. `step` is the distance of neighbours in x.
void Fourier::run(const std::complex<double>* x, int64_t n, int64_t step, std::complex<double>* y,
                  std::complex<double>* scratch) const {
  const int64_t p = smallest_factor(n), m = n / p;
  if (n == 1) {
    y[0] = x[0];
    return;
  }
  for (int64_t r = 0; r < p; ++r) run(x + r * step, m, step * p, scratch + r * m, y + r * m);
  const int64_t root_step = length() / n;
  for (int64_t k = 0; k < n; ++k) {
    std::complex<double> sum = 0;
    for (int64_t r = 0; r < p; ++r) {
      sum += scratch[r * m + k % m] * roots_[static_cast<size_t>(r * k % n * root_step)];
    }
    y[k] = sum;
  }
}

}  // namespace fewbit::ops
