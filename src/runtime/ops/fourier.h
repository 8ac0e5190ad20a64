#pragma once
// The discrete Fourier transform of one line, in double.

#include <complex>
#include <span>
#include <vector>

namespace fewbit::ops {

/// Plan for length n: y[k] = sum x[j] exp(sign 2 pi i j k / n), sign -1 forward, +1 inverse (not
/// divided by n). Cost n times the sum of n's prime factors.
class Fourier {
 public:
  Fourier(int64_t n, bool inverse);
  int64_t length() const { return static_cast<int64_t>(roots_.size()); }
  /// x and y have n elements and do not overlap.
  void run(const std::complex<double>* x, std::complex<double>* y) const;

 private:
  void run(const std::complex<double>* x, int64_t n, int64_t step, std::complex<double>* y,
           std::complex<double>* scratch) const;
  std::vector<std::complex<double>> roots_;  ///< exp(sign 2 pi i j / n)
};

}  // namespace fewbit::ops
