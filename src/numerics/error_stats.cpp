#include "numerics/error_stats.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace fewbit {
namespace {

// Independent sums, so that the additions of one pair do not wait for those of the pair before.
constexpr size_t kLanes = 8;

struct Lanes {
  std::array<double, kLanes> signal{};
  std::array<double, kLanes> value_energy{};
  std::array<double, kLanes> product{};
  std::array<double, kLanes> noise{};
  std::array<double, kLanes> largest{};
  std::array<int64_t, kLanes> left_out{};

  void add(size_t lane, float reference, float value) {
    const bool finite = std::isfinite(reference) && std::isfinite(value);
    const double f = finite ? reference : 0;
    const double q = finite ? value : 0;
    const double error = f - q;
    signal[lane] += f * f;
    value_energy[lane] += q * q;
    product[lane] += f * q;
    noise[lane] += error * error;
    largest[lane] = std::max(largest[lane], std::abs(error));
    left_out[lane] += finite ? 0 : 1;
  }
};

double sum(const std::array<double, kLanes>& lanes) {
  double total = 0;
  for (const double lane : lanes) total += lane;
  return total;
}

}  // namespace

void ErrorStats::add(std::span<const float> reference, std::span<const float> value) {
  FEWBIT_CHECK(reference.size() == value.size(), reference.size(), value.size());
  Lanes lanes;
  size_t i = 0;
  for (; i + kLanes <= reference.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane)
      lanes.add(lane, reference[i + lane], value[i + lane]);
  }
  for (; i < reference.size(); ++i) lanes.add(0, reference[i], value[i]);
  int64_t left_out = 0;
  for (const int64_t lane : lanes.left_out) left_out += lane;
  count_ += static_cast<int64_t>(reference.size()) - left_out;
  non_finite_ += left_out;
  signal_ += sum(lanes.signal);
  value_energy_ += sum(lanes.value_energy);
  product_ += sum(lanes.product);
  noise_ += sum(lanes.noise);
  max_abs_error_ =
      std::max(max_abs_error_, *std::max_element(lanes.largest.begin(), lanes.largest.end()));
}

void ErrorStats::merge(const ErrorStats& other) {
  count_ += other.count_;
  non_finite_ += other.non_finite_;
  signal_ += other.signal_;
  value_energy_ += other.value_energy_;
  product_ += other.product_;
  noise_ += other.noise_;
  max_abs_error_ = std::max(max_abs_error_, other.max_abs_error_);
}

double ErrorStats::sqnr_db() const {
  if (noise_ == 0) return std::numeric_limits<double>::infinity();
  if (signal_ == 0) return -std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal_ / noise_);
}

double ErrorStats::cosine() const {
  if (signal_ == 0 && value_energy_ == 0) return 1;
  if (signal_ == 0 || value_energy_ == 0) return 0;
  return std::clamp(product_ / (std::sqrt(signal_) * std::sqrt(value_energy_)), -1.0, 1.0);
}

double ErrorStats::mean_squared_error() const {
  return count_ == 0 ? 0 : noise_ / static_cast<double>(count_);
}

}  // namespace fewbit
