#pragma once
// How far one set of values is from another: streamed, in double.

#include <cstdint>
#include <span>

namespace fewbit {

/// Of reference f and approximation q, over all pairs added:
///   SQNR = 10 log10(sum f^2 / sum (f - q)^2) in dB,  cosine = sum f q / sqrt(sum f^2 sum q^2),
///   mean squared error and largest |f - q|.
/// A pair in which either value is infinite or NaN is counted, and left out of all of these.
class ErrorStats {
 public:
  /// Sizes must match.
  void add(std::span<const float> reference, std::span<const float> value);
  /// As if the pairs of `other` had been added here.
  void merge(const ErrorStats& other);

  int64_t count() const { return count_; }            ///< Finite pairs.
  int64_t non_finite() const { return non_finite_; }  ///< Pairs left out.
  double signal() const { return signal_; }           ///< sum f^2
  double noise() const { return noise_; }             ///< sum (f - q)^2

  /// +infinity if there is no error, -infinity if there is error and no signal.
  double sqnr_db() const;
  /// 1 if both are all zeros, 0 if one is.
  double cosine() const;
  /// 0 if nothing was added.
  double mean_squared_error() const;
  double max_abs_error() const { return max_abs_error_; }

 private:
  int64_t count_ = 0;
  int64_t non_finite_ = 0;
  double signal_ = 0;
  double value_energy_ = 0;
  double product_ = 0;
  double noise_ = 0;
  double max_abs_error_ = 0;
};

}  // namespace fewbit
