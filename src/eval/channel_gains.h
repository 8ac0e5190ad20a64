#pragma once
// Factors per channel between two versions of one value.

#include <cstdint>
#include <vector>

#include "base/tensor.h"

namespace fewbit {

/// Fits value ~ gain[c] * reference over axis 1 (rank 2 and above), by least squares, streaming.
class ChannelGains {
 public:
  /// float32 tensors of equal dims.
  void add(const Tensor& reference, const Tensor& value);

  /// The gains, if they are there on purpose: there are at least 16 values per channel, the gains
  /// are off 1 by 5 % or more (root mean square, weighted by energy), and taking them out leaves a
  /// tenth of the squared error or less. Quantization noise does none of that: it is neither large
  /// nor proportional to the value. Else empty. Gains that are not positive count as 1.
  std::vector<float> found() const;

 private:
  struct Sums {
    double reference = 0, product = 0, value = 0;  ///< f^2, f q, q^2
  };
  std::vector<Sums> sums_;
  int64_t values_per_channel_ = 0;
  bool valid_ = true;
};

/// value[:, c, ...] / gains[c], in new memory; the value itself if there are no gains.
Tensor without_gains(const Tensor& value, const std::vector<float>& gains);

}  // namespace fewbit
