#include "kernels/few_bit/activations.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace fewbit::few_bit {
namespace {

constexpr int64_t kTileK = kTileBytes;  // one byte each

// What x is divided by, and its inverse; both 0 for a row too small to matter.
struct RowScale {
  float scale = 0, inverse = 0;
  bool usable() const { return inverse != 0; }
};

RowScale row_scale(const float* x, int64_t count) {
  // Magnitudes compare as their bits do; infinity and NaN have the largest.
  uint32_t largest_bits = 0;
  for (int64_t k = 0; k < count; ++k) {
    largest_bits = std::max(largest_bits, std::bit_cast<uint32_t>(x[k]) & 0x7fffffffU);
  }
  if (largest_bits >= 0x7f800000U) return {std::numeric_limits<float>::quiet_NaN(), 0};
  const float scale = std::bit_cast<float>(largest_bits) / 127.0F;
  if (scale < std::numeric_limits<float>::min()) return {};
  return {scale, 1.0F / scale};
}

void round_to_bytes(const float* x, int64_t count, float inverse, int8_t* q) {
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: its sum with a small number is an integer
  for (int64_t k = 0; k < count; ++k) {
    q[k] = static_cast<int8_t>(static_cast<int32_t>((x[k] * inverse + kRounder) - kRounder));
  }
}

template <typename T, typename Sum>
Sum sum_of(const T* x, int64_t count) {
  Sum sum = 0;
  for (int64_t k = 0; k < count; ++k) sum += x[k];
  return sum;
}

}  // namespace

ActivationRows::ActivationRows(const Panels& panels, FewBitActivations kind, int64_t m)
    : panels_(panels), kind_(kind) {
  const auto groups = static_cast<size_t>(m * panels.layout.groups);
  const auto elements = static_cast<size_t>(m * panels.layout.width());
  group_sum_.resize(groups);
  scale_.resize(static_cast<size_t>(m), 1.0F);
  if (kind == FewBitActivations::kInt8) {
    q_.resize(elements);
    start_.resize(groups);
  } else {
    x_.resize(elements);
    float_start_.resize(groups);
  }
}

void ActivationRows::set(int64_t row, const float* x) {
  const Layout& l = panels_.layout;
  const bool bytes = kind_ == FewBitActivations::kInt8;
  int8_t* q = q_.data() + row * l.width();
  if (bytes) {
    const RowScale scale = row_scale(x, panels_.k);
    if (scale.usable()) round_to_bytes(x, panels_.k, scale.inverse, q);
    scale_[static_cast<size_t>(row)] = scale.scale;
  } else {
    std::copy_n(x, panels_.k, x_.data() + row * l.width());
  }
  for (int64_t g = 0; g < l.groups; ++g) {
    const int64_t begin = g * l.group_elems;
    const int64_t count = std::min(l.group_elems, panels_.k - begin);
    const auto at = static_cast<size_t>(row * l.groups + g);
    if (bytes) {
      const auto sum = sum_of<int8_t, int32_t>(q + begin, count);
      start_[at] = -l.zero * sum;
      group_sum_[at] = static_cast<float>(sum);
    } else {
      group_sum_[at] = sum_of<float, float>(x + begin, count);
      float_start_[at] = -static_cast<float>(l.zero) * group_sum_[at];
    }
  }
}

Activations ActivationRows::all() const {
  Activations a;
  a.stride = panels_.layout.width();
  if (kind_ == FewBitActivations::kInt8) {
    a.q = q_.data();
    a.start = start_.data();
  } else {
    a.x = x_.data();
    a.float_start = float_start_.data();
  }
  a.group_sum = group_sum_.data();
  a.scale = scale_.data();
  return a;
}

ActivationTiles::ActivationTiles(const Panels& panels, int64_t m)
    : k_(panels.k),
      row_tiles_((m + kTileRows - 1) / kTileRows),
      k_tiles_((panels.layout.width() + kTileK - 1) / kTileK) {
  const int64_t blocks = (k_ + kBlockDepth - 1) / kBlockDepth;
  q_.resize(static_cast<size_t>(row_tiles_ * tile_stride()));
  start_.resize(static_cast<size_t>(blocks * row_tiles_ * kTileRows));
  scale_.resize(static_cast<size_t>(m));
}

void ActivationTiles::set(int64_t row, const float* x) {
  const RowScale scale = row_scale(x, k_);
  scale_[static_cast<size_t>(row)] = scale.scale;
  if (!scale.usable()) return;
  int8_t* q = q_.data() + row / kTileRows * tile_stride() + row % kTileRows * kTileBytes;
  for (int64_t k = 0; k < k_; k += kTileK, q += kTileRows * kTileBytes) {
    const int64_t count = std::min(kTileK, k_ - k);
    round_to_bytes(x + k, count, scale.inverse, q);
    start_[static_cast<size_t>(k / kBlockDepth * row_tiles_ * kTileRows + row)] -=
        128 * sum_of<int8_t, int32_t>(q, count);
  }
}

}  // namespace fewbit::few_bit
