// The clipping threshold with the least Kullback-Leibler divergence between the clipped
// distribution and its quantized form (Migacz 2017, "8-bit Inference with TensorRT"). One-sided
// ranges (behind ReLU) use all codes for that side.

#include <algorithm>
#include <cmath>

#include "calib/observer.h"

namespace fewbit {
namespace {

constexpr int kBins = 2048;       // of the magnitude histogram that the search runs on
constexpr int kCandidates = 128;  // thresholds tried between 1/16 of the range and all of it

// KL(p || q) where p is the clipped histogram with the tail in its last bin, and q is p's inside
// part collapsed to `levels` bins and spread again over the bins that were not empty.
double divergence(const std::vector<double>& magnitudes, int used, int levels) {
  std::vector<double> p(magnitudes.begin(), magnitudes.begin() + used);
  double tail = 0;
  for (size_t i = static_cast<size_t>(used); i < magnitudes.size(); ++i) tail += magnitudes[i];
  p.back() += tail;
  std::vector<double> q(p.size(), 0.0);
  for (int level = 0; level < levels; ++level) {
    auto begin = static_cast<size_t>(static_cast<int64_t>(level) * used / levels);
    auto end = static_cast<size_t>(static_cast<int64_t>(level + 1) * used / levels);
    double sum = 0;
    int filled = 0;
    for (size_t i = begin; i < end; ++i) {
      sum += magnitudes[i];
      filled += p[i] > 0 ? 1 : 0;
    }
    for (size_t i = begin; i < end && filled > 0; ++i) {
      if (p[i] > 0) q[i] = sum / filled;
    }
  }
  double total_p = 0;
  double total_q = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    total_p += p[i];
    total_q += q[i];
  }
  if (total_p == 0 || total_q == 0) return INFINITY;
  // A bin that q cannot express would make the divergence infinite; smoothing bounds it.
  constexpr double kSmooth = 1e-4;
  double kl = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) continue;
    double pi = p[i] / total_p;
    double qi = std::max(q[i] / total_q, kSmooth * pi);
    kl += pi * std::log(pi / qi);
  }
  return kl;
}

class EntropyObserver final : public Observer {
 public:
  void observe(std::span<const float> values) override { histogram_.add(values); }

  Range range(const RangeTarget& target) const override {
    Range full = with_zero(histogram_.min(), histogram_.max());
    double extreme = std::max(-full.low, full.high);
    if (!(extreme > 0)) return full;
    std::vector<double> magnitudes(kBins, 0.0);
    for (const auto& bin : histogram_.bins()) {
      auto i = static_cast<int>(std::abs(bin.center) / extreme * kBins);
      magnitudes[static_cast<size_t>(std::min(i, kBins - 1))] += bin.count;
    }
    bool one_sided = !target.symmetric && (full.low == 0 || full.high == 0);
    int levels = one_sided ? 1 << target.bits : 1 << (target.bits - 1);
    int best = kBins;
    double least = INFINITY;
    int first = std::max(levels, kBins / 16);
    for (int i = 0; i <= kCandidates; ++i) {
      int used = first + static_cast<int>(static_cast<int64_t>(kBins - first) * i / kCandidates);
      double kl = divergence(magnitudes, used, levels);
      if (kl < least) {
        least = kl;
        best = used;
      }
    }
    auto threshold = static_cast<float>(extreme * best / kBins);
    return {std::max(full.low, -threshold), std::min(full.high, threshold)};
  }

 private:
  Histogram histogram_;
};

}  // namespace

std::unique_ptr<Observer> make_entropy_observer(const ObserverOptions&) {
  return std::make_unique<EntropyObserver>();
}

}  // namespace fewbit
