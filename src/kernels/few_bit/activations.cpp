#include "kernels/few_bit/activations.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "base/huge_buffer.h"

namespace fewbit::few_bit {
namespace {

constexpr int64_t kTileK = kTileBytes;  // one byte each
constexpr int64_t kTile = kTileRows * kTileBytes;

// What x is divided by, and its inverse; both 0 for a row too small to matter.
struct RowScale {
  float scale = 0, inverse = 0;
};

RowScale row_scale(uint32_t largest_bits) {
  if (largest_bits >= 0x7f800000U) return {std::numeric_limits<float>::quiet_NaN(), 0};
  const float scale = std::bit_cast<float>(largest_bits) / 127.0F;
  if (scale < std::numeric_limits<float>::min()) return {};
  return {scale, 1.0F / scale};
}

// Times 0 even what is not finite gives bytes of 0, whose scale says the rest.
void round_pieces(const Row& kernels, const float* x, int64_t count, float inverse, int64_t piece,
                  int64_t piece_stride, int8_t* q, int32_t* sums) {
  if (inverse != 0) {
    return kernels.round({x, count, inverse, piece, piece_stride, q, sums});
  }
  for (int64_t at = 0; at < count; at += piece, q += piece_stride) {
    std::fill_n(q, piece, int8_t{0});
    *sums++ = 0;
  }
}

}  // namespace

void ActivationRows::reset(const Row& kernels, const Panels& panels, FewBitActivations kind,
                           int64_t m) {
  kernels_ = &kernels;
  layout_ = &panels.layout;
  kind_ = kind;
  k_ = panels.k;
  const auto groups = static_cast<size_t>(m * layout_->groups);
  const auto elements = static_cast<size_t>(m * layout_->width());
  group_sum_.resize(groups);
  scale_.assign(static_cast<size_t>(m), 1.0F);
  if (kind == FewBitActivations::kInt8) {
    q_.resize(elements);
    start_.resize(groups);
  } else {
    x_.resize(elements);
  }
}

void ActivationRows::set(int64_t row, const float* x) {
  kind_ == FewBitActivations::kInt8 ? set_bytes(row, x) : set_floats(row, x);
}

void ActivationRows::set_bytes(int64_t row, const float* x) {
  const RowScale scale = row_scale(kernels_->largest_bits(x, k_));
  scale_[static_cast<size_t>(row)] = scale.scale;
  int8_t* q = q_.data() + row * layout_->width();
  int32_t* start = start_.data() + row * layout_->groups;
  // Pieces are filled up, but no further than the row: the last group may be.
  const int64_t piece = std::min(layout_->group_elems, layout_->width());
  round_pieces(*kernels_, x, k_, scale.inverse, piece, piece, q, start);
  const int64_t filled = layout_->groups * piece;
  std::fill(q + filled, q + layout_->width(), int8_t{0});
  for (int64_t g = 0; g < layout_->groups; ++g) {
    group_sum_[static_cast<size_t>(row * layout_->groups + g)] = static_cast<float>(start[g]);
    start[g] *= -layout_->zero;
  }
}

void ActivationRows::set_floats(int64_t row, const float* x) {
  const Layout& l = *layout_;
  float* copy = x_.data() + row * l.width();
  std::fill(std::copy_n(x, k_, copy), copy + l.width(), 0.0F);
  for (int64_t g = 0; g < l.groups; ++g) {
    const float* begin = x + g * l.group_elems;
    const float* end = x + std::min((g + 1) * l.group_elems, k_);
    const auto at = static_cast<size_t>(row * l.groups + g);
    group_sum_[at] = std::accumulate(begin, end, 0.0F);
  }
}

Activations ActivationRows::all() const {
  Activations a;
  a.stride = layout_->width();
  if (kind_ == FewBitActivations::kInt8) {
    a.q = q_.data();
    a.start = start_.data();
  } else {
    a.x = x_.data();
  }
  a.group_sum = group_sum_.data();
  a.scale = scale_.data();
  return a;
}

void ActivationTiles::reset(const Row& kernels, const Panels& panels, int64_t m) {
  kernels_ = &kernels;
  k_ = panels.k;
  row_tiles_ = (m + kTileRows - 1) / kTileRows;
  k_tiles_ = (panels.layout.width() + kTileK - 1) / kTileK;
  const int64_t bytes = row_tiles_ * k_tiles_ * kTile;
  if (q_.bytes() < bytes) q_ = huge_bytes(bytes);
  start_.resize(static_cast<size_t>(blocks() * row_tiles_ * kTileRows));
  scale_.resize(static_cast<size_t>(m));
  // Rows that fill up the last tiles are zeros.
  for (int64_t b = 0; b < blocks() && m % kTileRows != 0; ++b) {
    std::fill_n(tile_at(b, row_tiles_ - 1), tile_stride(b), int8_t{0});
  }
}

void ActivationTiles::set(int64_t row, const float* x) {
  const RowScale scale = row_scale(kernels_->largest_bits(x, k_));
  scale_[static_cast<size_t>(row)] = scale.scale;
  for (int64_t b = 0; b < blocks(); ++b) {
    int8_t* q = tile_at(b, row / kTileRows) + row % kTileRows * kTileBytes;
    int32_t sums[kTilesPerBlock] = {};
    const int64_t count = std::clamp<int64_t>(k_ - b * kBlockDepth, 0, kBlockDepth);
    round_pieces(*kernels_, x + b * kBlockDepth, count, scale.inverse, kTileK, kTile, q, sums);
    // Weights may fill up more k than a tile has.
    for (int64_t t = (count + kTileK - 1) / kTileK; t < tiles_in(b); ++t) {
      std::fill_n(q + t * kTile, kTileK, int8_t{0});
    }
    start_[static_cast<size_t>(b * row_tiles_ * kTileRows + row)] =
        -kernels_->byte_zero * std::accumulate(sums, sums + kTilesPerBlock, 0);
  }
}

}  // namespace fewbit::few_bit
