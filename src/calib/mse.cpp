// The range with the least expected squared error of the quantized values: rounding noise against
// clipping error, searched over both ends (Banner et al. 2019, "Post-Training 4-bit Quantization of
// Convolution Networks", minimise the same sum in closed form for a Laplace source).

#include <algorithm>
#include <cmath>

#include "calib/observer.h"

namespace fewbit {
namespace {

// Steps of the search: each end is tried at this many fractions of its extreme, then refined.
constexpr int kSteps = 40;

class MseObserver final : public Observer {
 public:
  void observe(std::span<const float> values) override { histogram_.add(values); }

  Range range(const RangeTarget& target) const override {
    std::vector<Histogram::Bin> bins = histogram_.bins();
    Range best = with_zero(histogram_.min(), histogram_.max());
    if (bins.empty()) return best;
    double error = quantization_error(bins, best, target);
    // Coordinate descent over the two ends, from coarse fractions to fine ones.
    for (double span : {1.0, 0.2, 0.04}) {
      for (int round = 0; round < 2; ++round) {
        for (bool upper : {true, false}) {
          const Range start = best;
          for (int i = 1; i < kSteps; ++i) {
            Range candidate = start;
            double factor = 1 - span * i / kSteps;
            float& end = upper ? candidate.high : candidate.low;
            end = static_cast<float>(end * factor);
            double e = quantization_error(bins, candidate, target);
            if (e < error) {
              error = e;
              best = candidate;
            }
          }
        }
      }
    }
    return best;
  }

 private:
  Histogram histogram_;
};

}  // namespace

std::unique_ptr<Observer> make_mse_observer(const ObserverOptions&) {
  return std::make_unique<MseObserver>();
}

}  // namespace fewbit
