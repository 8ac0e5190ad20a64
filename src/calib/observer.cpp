#include "calib/observer.h"

#include <algorithm>
#include <cmath>

namespace fewbit {

std::span<const ObserverRow> observer_table() {
  static constexpr ObserverRow kRows[] = {
      {"mse", make_mse_observer, "least expected squared error over the histogram (default)"},
      {"minmax", make_min_max_observer, "smallest and largest value"},
      {"moving_average", make_moving_average_observer, "moving average of each batch's extremes"},
      {"percentile", make_percentile_observer, "a share of the values, equal tails cut"},
      {"entropy", make_entropy_observer, "least Kullback-Leibler divergence (TensorRT's method)"},
  };
  return kRows;
}

const ObserverRow* find_observer(std::string_view name) {
  for (const ObserverRow& row : observer_table()) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

Range with_zero(float low, float high) {
  return {std::min(low, 0.0F), std::max(high, 0.0F)};
}

double quantization_error(const std::vector<Histogram::Bin>& bins, Range range,
                          const RangeTarget& target) {
  double low = range.low;
  double high = range.high;
  if (target.symmetric) {
    high = std::max(-low, high);
    low = -high;
  }
  double step = (high - low) / ((1 << target.bits) - 1);
  if (!(step > 0)) step = 0;
  double rounding = step * step / 12;
  double sum = 0;
  double total = 0;
  for (const Histogram::Bin& bin : bins) {
    total += bin.count;
    double outside = bin.center > high  ? bin.center - high
                     : bin.center < low ? low - bin.center
                                        : 0;
    if (outside > 0) {
      sum += bin.count * outside * outside;
    } else if (bin.width > 0) {
      sum += bin.count * rounding;
    } else if (step > 0) {
      // A bin of one value (zero, behind ReLU): its error is known exactly.
      double code = bin.center / step;
      double error = (code - std::nearbyint(code)) * step;
      sum += bin.count * error * error;
    }
  }
  return total > 0 ? sum / total : 0;
}

}  // namespace fewbit
