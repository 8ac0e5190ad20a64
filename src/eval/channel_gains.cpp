#include "eval/channel_gains.h"

#include <cmath>

namespace fewbit {
namespace {

constexpr int64_t kMinValues = 16;
constexpr double kClearGain = 0.05;
constexpr double kLeftError = 0.1;

struct Layout3 {
  int64_t outer, channels, inner;
};

Layout3 layout_of(const Tensor& t) {
  const int64_t outer = t.dim(0);
  const int64_t channels = t.dim(1);
  const int64_t count = outer * channels;
  return {outer, channels, count == 0 ? 0 : t.elements() / count};
}

}  // namespace

void ChannelGains::add(const Tensor& reference, const Tensor& value) {
  valid_ = valid_ && reference.rank() >= 2;
  if (!valid_) return;
  const Layout3 at = layout_of(reference);
  if (sums_.empty()) sums_.resize(static_cast<size_t>(at.channels));
  valid_ = static_cast<int64_t>(sums_.size()) == at.channels;
  if (!valid_) return;
  values_per_channel_ += at.outer * at.inner;
  const auto* f = reference.data<float>();
  const auto* q = value.data<float>();
  for (int64_t o = 0; o < at.outer; ++o) {
    for (int64_t c = 0; c < at.channels; ++c) {
      Sums& sums = sums_[static_cast<size_t>(c)];
      for (int64_t i = 0; i < at.inner; ++i, ++f, ++q) {
        if (!std::isfinite(*f) || !std::isfinite(*q)) continue;
        sums.reference += static_cast<double>(*f) * *f;
        sums.product += static_cast<double>(*f) * *q;
        sums.value += static_cast<double>(*q) * *q;
      }
    }
  }
}

std::vector<float> ChannelGains::found() const {
  if (!valid_ || values_per_channel_ < kMinValues) return {};
  std::vector<float> gains;
  double signal = 0, gain_error = 0, error = 0, error_left = 0;
  for (const Sums& s : sums_) {
    const double fitted = s.reference > 0 ? s.product / s.reference : 1;
    const double gain = fitted > 0 ? fitted : 1;
    gains.push_back(static_cast<float>(gain));
    signal += s.reference;
    gain_error += (gain - 1) * (gain - 1) * s.reference;
    error += s.reference - 2 * s.product + s.value;
    error_left += s.reference - 2 * s.product / gain + s.value / (gain * gain);
  }
  const bool clear = gain_error > kClearGain * kClearGain * signal;
  if (!clear || !(error_left < kLeftError * error)) return {};
  return gains;
}

Tensor without_gains(const Tensor& value, const std::vector<float>& gains) {
  if (gains.empty() || value.rank() < 2 || value.dim(1) != static_cast<int64_t>(gains.size())) {
    return value;
  }
  const Layout3 at = layout_of(value);
  Tensor out = Tensor::uninitialized(DType::kFloat32, value.dims());
  const auto* in = value.data<float>();
  auto* to = out.data<float>();
  for (int64_t o = 0; o < at.outer; ++o) {
    for (int64_t c = 0; c < at.channels; ++c) {
      const float gain = gains[static_cast<size_t>(c)];
      for (int64_t i = 0; i < at.inner; ++i) *to++ = *in++ / gain;
    }
  }
  return out;
}

}  // namespace fewbit
