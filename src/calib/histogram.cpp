#include "calib/histogram.h"

#include <algorithm>
#include <cmath>

namespace fewbit {
namespace {

int64_t floor_half(int64_t x) { return x >> 1; }

}  // namespace

// Afterwards [low, high] lies inside the table.
void Histogram::grow_to(float low, float high) {
  auto index = [&](float x) {
    return static_cast<int64_t>(std::floor(std::ldexp(static_cast<double>(x), -log2_width_)));
  };
  if (bins_.empty()) {
    double span = std::max(static_cast<double>(high) - low, 1e-30);
    log2_width_ = static_cast<int>(std::ceil(std::log2(span / (kBins / 2))));
    bins_.assign(kBins, 0);
    first_ = index(low) - (kBins - (index(high) - index(low) + 1)) / 2;
  }
  for (;;) {
    int64_t lowest = index(low);
    int64_t highest = index(high);
    int64_t used_first = first_;
    int64_t used_last = first_ + kBins - 1;
    while (used_first < used_last && bins_[static_cast<size_t>(used_first - first_)] == 0) ++used_first;
    while (used_last > used_first && bins_[static_cast<size_t>(used_last - first_)] == 0) --used_last;
    lowest = std::min(lowest, used_first);
    highest = std::max(highest, used_last);
    if (count_ == 0) {
      lowest = index(low);
      highest = index(high);
    }
    if (highest - lowest < kBins) {
      // It fits: shift the table so that it is centred on what is used.
      int64_t first = lowest - (kBins - (highest - lowest + 1)) / 2;
      std::vector<int64_t> moved(kBins, 0);
      for (int64_t i = used_first; count_ > 0 && i <= used_last; ++i) {
        moved[static_cast<size_t>(i - first)] = bins_[static_cast<size_t>(i - first_)];
      }
      bins_ = std::move(moved);
      first_ = first;
      return;
    }
    std::vector<int64_t> merged(kBins, 0);
    int64_t first = floor_half(first_);
    for (int64_t i = 0; i < kBins; ++i) {
      merged[static_cast<size_t>(floor_half(first_ + i) - first)] += bins_[static_cast<size_t>(i)];
    }
    bins_ = std::move(merged);
    first_ = first;
    ++log2_width_;
  }
}

void Histogram::add(std::span<const float> values) {
  float low = 0;
  float high = 0;
  int64_t finite = 0;
  for (float v : values) {
    if (!std::isfinite(v)) continue;
    low = finite == 0 ? v : std::min(low, v);
    high = finite == 0 ? v : std::max(high, v);
    ++finite;
  }
  not_finite_ += static_cast<int64_t>(values.size()) - finite;
  if (finite == 0) return;
  double scale = std::ldexp(1.0, -log2_width_);
  bool inside = !bins_.empty() && std::floor(low * scale) >= static_cast<double>(first_) &&
                std::floor(high * scale) < static_cast<double>(first_ + kBins);
  if (!inside) grow_to(low, high);
  min_ = count_ == 0 ? low : std::min(min_, low);
  max_ = count_ == 0 ? high : std::max(max_, high);
  count_ += finite;
  scale = std::ldexp(1.0, -log2_width_);
  // Exact: the width is a power of two, so float * scale rounds nothing that floor would see.
  auto base = static_cast<double>(first_);
  for (float v : values) {
    if (v == 0) {
      ++zeros_;
      continue;
    }
    if (!std::isfinite(v)) continue;
    ++bins_[static_cast<size_t>(std::floor(v * scale) - base)];
  }
}

std::vector<Histogram::Bin> Histogram::bins() const {
  std::vector<Bin> out;
  double width = std::ldexp(1.0, log2_width_);
  bool zero_done = zeros_ == 0;
  auto add_zeros = [&] {
    out.push_back({0.0, 0.0, static_cast<double>(zeros_)});
    zero_done = true;
  };
  for (size_t i = 0; i < bins_.size(); ++i) {
    if (!zero_done && first_ + static_cast<int64_t>(i) >= 0) add_zeros();
    if (bins_[i] == 0) continue;
    double low = static_cast<double>(first_ + static_cast<int64_t>(i)) * width;
    double from = std::max(low, static_cast<double>(min_));
    double to = std::min(low + width, static_cast<double>(max_));
    out.push_back({(from + to) / 2, to - from, static_cast<double>(bins_[i])});
  }
  if (!zero_done) add_zeros();
  return out;
}

}  // namespace fewbit
