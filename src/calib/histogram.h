#pragma once
// A streaming histogram whose range grows with the data: memory does not depend on how much is
// seen.
//
// The bins always lie at multiples of the bin width, a power of two. When a value falls outside the
// table the width doubles and neighbouring bins merge, so that nothing seen earlier is lost beyond
// the new resolution.

#include <cstdint>
#include <span>
#include <vector>

namespace fewbit {

class Histogram {
 public:
  static constexpr int kBins = 4096;

  void add(std::span<const float> values);

  int64_t count() const { return count_; }  ///< finite values seen
  int64_t not_finite() const { return not_finite_; }
  float min() const { return min_; }  ///< exact extremes; 0 if nothing was seen
  float max() const { return max_; }

  struct Bin {
    double center;
    double width;
    double count;
  };
  /// The bins that hold something, ascending; exact zeros (ReLU makes many) are a bin of width 0.
  /// The first and last are centred inside [min, max].
  std::vector<Bin> bins() const;

 private:
  void grow_to(float low, float high);

  int log2_width_ = -149;
  int64_t first_ = 0;  ///< index of bins_[0]: it covers [first_, first_ + 1) * 2^log2_width_
  std::vector<int64_t> bins_;
  int64_t zeros_ = 0;
  int64_t count_ = 0;  ///< zeros included
  int64_t not_finite_ = 0;
  float min_ = 0;
  float max_ = 0;
};

}  // namespace fewbit
