#include "calib/histogram.h"

#include <algorithm>
#include <cmath>

#include "calib/extremes.h"

namespace fewbit {
namespace {

int64_t floor_half(int64_t x) {
  return x >> 1;
}

constexpr int64_t kBlock = 1 << 14;

// The index is exact but for values within rounding of a bin's upper edge, which may go one up.
void count_bins(const float* values, int64_t n, double scale, double first, uint32_t* bins) {
  auto s = static_cast<float>(scale);
  constexpr int kLast = Histogram::kBins - 1;
  // Far from zero a float has no room for the bin's fraction: use double there.
  if (std::abs(first) > (1 << 20) || !std::isfinite(s)) {
    for (int64_t i = 0; i < n; ++i) {
      auto bin = static_cast<int>(std::floor(values[i] * scale) - first);
      ++bins[std::clamp(bin, 0, kLast)];
    }
    return;
  }
  auto base = static_cast<float>(first);
  int32_t index[64];
  for (int64_t i = 0; i < n; i += 64) {
    int64_t m = std::min<int64_t>(64, n - i);
    // value * scale - first >= 0, so that truncation is floor.
    for (int64_t k = 0; k < m; ++k) {
      auto bin = static_cast<int32_t>(values[i + k] * s - base);
      bin = bin < 0 ? 0 : bin;
      index[k] = bin > kLast ? kLast : bin;
    }
    for (int64_t k = 0; k < m; ++k) ++bins[index[k]];
  }
}

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
    while (used_first < used_last && bins_[static_cast<size_t>(used_first - first_)] == 0)
      ++used_first;
    while (used_last > used_first && bins_[static_cast<size_t>(used_last - first_)] == 0)
      --used_last;
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
  Extremes e = extremes_of(values);
  if (!e.all_finite) {
    // Rare: keep the finite ones.
    std::vector<float> finite;
    for (float v : values) {
      if (std::isfinite(v)) finite.push_back(v);
    }
    not_finite_ += static_cast<int64_t>(values.size() - finite.size());
    if (!finite.empty()) add(finite);
    return;
  }
  if (values.empty()) return;
  double scale = std::ldexp(1.0, -log2_width_);
  bool inside = !bins_.empty() && std::floor(e.low * scale) >= static_cast<double>(first_) &&
                std::floor(e.high * scale) < static_cast<double>(first_ + kBins);
  if (!inside) grow_to(e.low, e.high);
  min_ = count_ == 0 ? e.low : std::min(min_, e.low);
  max_ = count_ == 0 ? e.high : std::max(max_, e.high);
  count_ += static_cast<int64_t>(values.size());
  zeros_ += e.zeros;
  scale = std::ldexp(1.0, -log2_width_);
  auto n = static_cast<int64_t>(values.size());
  const float* data = values.data();
  bool parallel = n > (1 << 15);
#pragma omp parallel if (parallel)
  {
    std::vector<uint32_t> own(kBins, 0);
#pragma omp for schedule(static)
    for (int64_t block = 0; block < (n + kBlock - 1) / kBlock; ++block) {
      int64_t begin = block * kBlock;
      count_bins(data + begin, std::min(kBlock, n - begin), scale, static_cast<double>(first_),
                 own.data());
    }
#pragma omp critical
    for (int i = 0; i < kBins; ++i) bins_[static_cast<size_t>(i)] += own[static_cast<size_t>(i)];
  }
  // Zeros were counted with the rest; they have their own place.
  if (e.zeros > 0) bins_[static_cast<size_t>(-first_)] -= e.zeros;
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
