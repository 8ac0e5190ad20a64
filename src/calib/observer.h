#pragma once
// Observers: each streams over one activation during calibration and then says which range of reals
// the quantizer's codes should cover.
//
// An observer is one file and one row. Its memory does not depend on the number of samples.

#include <memory>
#include <span>
#include <string_view>

#include "calib/histogram.h"

namespace fewbit {

/// The quantizer the range is for.
struct RangeTarget {
  int bits = 8;
  bool symmetric = false;  ///< codes symmetric about zero: the range will be [-m, m]
};

/// Always holds zero: zero must be exactly representable.
struct Range {
  float low = 0;
  float high = 0;
};

struct ObserverOptions {
  double percentile = 99.999;   ///< percentile: share of the values inside, in percent
  double moving_average = 0.9;  ///< moving_average: weight of the past at each batch
};

class Observer {
 public:
  virtual ~Observer() = default;
  /// One batch of values; NaN and infinities are ignored.
  virtual void observe(std::span<const float> values) = 0;
  virtual Range range(const RangeTarget& target) const = 0;
};

struct ObserverRow {
  std::string_view name;
  std::unique_ptr<Observer> (*make)(const ObserverOptions& options);
  std::string_view what;
};

/// All observers; the first is the default.
std::span<const ObserverRow> observer_table();
const ObserverRow* find_observer(std::string_view name);

/// Widens a range so that it holds zero.
Range with_zero(float low, float high);

/// Expected squared error per value of quantizing the histogram uniformly over `range`: rounding
/// noise step^2 / 12 inside (exact zero costs nothing), the squared distance outside.
double quantization_error(const std::vector<Histogram::Bin>& bins, Range range,
                          const RangeTarget& target);

std::unique_ptr<Observer> make_min_max_observer(const ObserverOptions& options);
std::unique_ptr<Observer> make_moving_average_observer(const ObserverOptions& options);
std::unique_ptr<Observer> make_percentile_observer(const ObserverOptions& options);
std::unique_ptr<Observer> make_entropy_observer(const ObserverOptions& options);
std::unique_ptr<Observer> make_mse_observer(const ObserverOptions& options);

}  // namespace fewbit
