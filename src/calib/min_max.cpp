// The smallest and largest value seen.

#include <algorithm>
#include <cmath>

#include "calib/extremes.h"
#include "calib/observer.h"

namespace fewbit {
namespace {

class MinMaxObserver final : public Observer {
 public:
  void observe(std::span<const float> values) override {
    Extremes e = extremes_of(values);
    if (e.all_finite) {
      low_ = std::min(low_, e.low);
      high_ = std::max(high_, e.high);
      return;
    }
    for (float v : values) {
      if (!std::isfinite(v)) continue;
      low_ = std::min(low_, v);
      high_ = std::max(high_, v);
    }
  }
  Range range(const RangeTarget&) const override { return {low_, high_}; }

 private:
  float low_ = 0;  // zero is always inside
  float high_ = 0;
};

}  // namespace

std::unique_ptr<Observer> make_min_max_observer(const ObserverOptions&) {
  return std::make_unique<MinMaxObserver>();
}

}  // namespace fewbit
