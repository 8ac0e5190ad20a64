#pragma once
// Factors per channel between two versions of one value.

#include <vector>

#include "base/tensor.h"

namespace fewbit {

/// Fits value ~ gain[c] * reference over axis 1 (rank 2 and above), by least squares, streaming.
class ChannelGains {
 public:
  /// float32 tensors of equal dims.
  void add(const Tensor& reference, const Tensor& value);

  /// The gains, if they are there on purpose: some differ from 1 by more than a quarter, and taking
  /// them out leaves less than a quarter of the squared error (quantization noise does not become
  /// smaller by that: it is not proportional to the value). Else empty. Gains that are not positive
  /// count as 1.
  std::vector<float> found() const;

 private:
  struct Sums {
    double reference = 0, product = 0, value = 0;  ///< f^2, f q, q^2
  };
  std::vector<Sums> sums_;
  bool valid_ = true;
};

/// value[:, c, ...] / gains[c], in new memory; the value itself if there are no gains.
Tensor without_gains(const Tensor& value, const std::vector<float>& gains);

}  // namespace fewbit
