// An exponential moving average of each batch's extremes (Jacob et al. 2018, section 3.1). It
// forgets outliers, and therefore clips: fit for training, not the default for calibration.

#include <algorithm>
#include <cmath>

#include "calib/observer.h"

namespace fewbit {
namespace {

class MovingAverageObserver final : public Observer {
 public:
  explicit MovingAverageObserver(double past) : past_(past) {}

  void observe(std::span<const float> values) override {
    float low = INFINITY;
    float high = -INFINITY;
    for (float v : values) {
      if (!std::isfinite(v)) continue;
      low = std::min(low, v);
      high = std::max(high, v);
    }
    if (low > high) return;
    low_ = seen_ ? past_ * low_ + (1 - past_) * low : low;
    high_ = seen_ ? past_ * high_ + (1 - past_) * high : high;
    seen_ = true;
  }
  Range range(const RangeTarget&) const override {
    return with_zero(static_cast<float>(low_), static_cast<float>(high_));
  }

 private:
  double past_;
  double low_ = 0;
  double high_ = 0;
  bool seen_ = false;
};

}  // namespace

std::unique_ptr<Observer> make_moving_average_observer(const ObserverOptions& options) {
  return std::make_unique<MovingAverageObserver>(options.moving_average);
}

}  // namespace fewbit
