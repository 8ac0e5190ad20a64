// The range that holds a given share of all values, cutting equal tails on both sides
// (Wu et al. 2020, "Integer Quantization for Deep Learning Inference", section 4).

#include "calib/observer.h"

namespace fewbit {
namespace {

class PercentileObserver final : public Observer {
 public:
  explicit PercentileObserver(double percentile) : percentile_(percentile) {}

  void observe(std::span<const float> values) override { histogram_.add(values); }

  Range range(const RangeTarget&) const override {
    std::vector<Histogram::Bin> bins = histogram_.bins();
    if (bins.empty()) return {};
    double tail = static_cast<double>(histogram_.count()) * (1 - percentile_ / 100) / 2;
    double low = histogram_.min();
    double high = histogram_.max();
    double seen = 0;
    for (const auto& bin : bins) {
      seen += bin.count;
      if (seen > tail) {
        low = bin.center - bin.width / 2;
        break;
      }
    }
    seen = 0;
    for (auto it = bins.rbegin(); it != bins.rend(); ++it) {
      seen += it->count;
      if (seen > tail) {
        high = it->center + it->width / 2;
        break;
      }
    }
    return with_zero(static_cast<float>(low), static_cast<float>(high));
  }

 private:
  double percentile_;
  Histogram histogram_;
};

}  // namespace

std::unique_ptr<Observer> make_percentile_observer(const ObserverOptions& options) {
  return std::make_unique<PercentileObserver>(options.percentile);
}

}  // namespace fewbit
