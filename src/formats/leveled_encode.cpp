// Encoding of formats w = scale * level(code): scales by level_fit, then codes, 16 rows at a time.

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "formats/code_planes.h"
#include "formats/level_fit.h"
#include "formats/leveled.h"
#include "numerics/float8.h"

namespace fewbit::formats {
namespace {

// Memory for tiles, aligned as the kernels ask.
class TileBuffer {
 public:
  explicit TileBuffer(int64_t floats)
      : lanes_(static_cast<size_t>((floats + kLanes - 1) / kLanes)) {}
  float* data() { return lanes_.empty() ? nullptr : lanes_.front().v.data(); }

 private:
  std::vector<Lanes> lanes_;
};

constexpr float largest_of(ScaleType type) {
  return type == ScaleType::kFloat16 ? 65504.0F : 3.3e38F;
}

Status check_scale(const EncodeInput& in, const Format& format, float ideal, int64_t row) {
  if (std::fabs(ideal) <= largest_of(format.scale)) return {};
  return bad_input("row {} of [{}, {}] needs a scale of {:.3g}, more than {} holds: {}", row,
                   in.rows, in.cols, ideal, name_of(format.scale),
                   "take another scale type, such as :bf16 or :f32");
}

// Up to 16 rows of the matrix, side by side in lanes.
class RowBlock {
 public:
  RowBlock(const EncodeInput& in, const EncodeOptions& options, PackedMatrix& out)
      : in_(in),
        out_(out),
        format_(out.format),
        leveled_(*leveled_of(out.format)),
        groups_(groups_per_row(out.format, in.cols)),
        group_(out.format.group_elems > 0 ? out.format.group_elems : in.cols),
        task_{&leveled_.grid, out.format.scale, options.search},
        values_(in.cols * kLanes),
        weights_(in.importance.size() == in.values.size() ? in.cols * kLanes : 0),
        codes_stride_((in.cols / 64 + 2) * 64),
        codes_(static_cast<size_t>(codes_stride_ * kLanes)),
        scales_(static_cast<size_t>(groups_)),
        zeros_(static_cast<size_t>(groups_)) {
    if (is_integer_scale(format_.scale) || format_.scale == ScaleType::kE4M3) {
      task_.scale = ScaleType::kFloat32;
      task_.positive = true;
    }
  }

  Status encode(int64_t first_row, int row_count) {
    first_row_ = first_row;
    row_count_ = row_count;
    const LevelKernels& kernels = level_kernels();
    kernels.load_tile(in_.values.data() + first_row * in_.cols, in_.cols, row_count, in_.cols,
                      values_.data());
    if (weights_.data() != nullptr) {
      kernels.load_tile(in_.importance.data() + first_row * in_.cols, in_.cols, row_count, in_.cols,
                        weights_.data());
    }
    FEWBIT_TRY(fit());
    for (int64_t g = 0; g < groups_; ++g) {
      const auto i = static_cast<size_t>(g);
      kernels.codes(leveled_.grid, tile(g), divisible(scales_[i]), zeros_[i], row_count,
                    codes_stride_, codes_.data() + g * group_);
    }
    store();
    return {};
  }

 private:
  BlockTile tile(int64_t g) {
    BlockTile t;
    t.x = values_.data() + g * group_ * kLanes;
    t.n = std::min(group_, in_.cols - g * group_);
    t.weight_per_lane = weights_.data() != nullptr;
    if (t.weight_per_lane) {
      t.weight = weights_.data() + g * group_ * kLanes;
    } else if (!in_.importance.empty()) {
      t.weight = in_.importance.data() + g * group_;
    }
    return t;
  }

  // A group of zeros may have the integer scale 0.
  static Lanes divisible(const Lanes& scales) {
    Lanes scale = scales;
    for (float& s : scale.v) s = s == 0 ? 1.0F : s;
    return scale;
  }

  Status fit() {
    if (format_.group_elems == Format::kPerTensor) {
      scales_[0].v.fill(load_scale(format_.scale, out_.parts[1].raw(), 0));
      zeros_[0].v.fill(static_cast<float>(leveled_.grid.symmetric_zero()));
      if (leveled_.grid.zero_point) zeros_[0].v.fill(out_.parts.back().data<uint8_t>()[0]);
      return {};
    }
    if (format_.scale == ScaleType::kE4M3) return fit_under_tensor_scale();
    for (int64_t g = 0; g < groups_; ++g) {
      const auto i = static_cast<size_t>(g);
      const TileFit fit = fit_tile(task_, tile(g));
      scales_[i] = fit.scale;
      zeros_[i] = fit.zero;
      for (int l = 0; l < row_count_; ++l) {
        FEWBIT_TRY(check_scale(in_, format_, fit.ideal[static_cast<size_t>(l)], first_row_ + l));
      }
    }
    if (is_integer_scale(format_.scale)) fit_integer_scales();
    return {};
  }

  // Around the float8 scale that maps the largest magnitude to the largest level: up to 1.5 times
  // it, where the largest magnitude falls on the level 4 of a float4 and not on 6 (J. Cook et al.,
  // Four Over Six, 2025).
  Status fit_under_tensor_scale() {
    const float tensor_scale = out_.parts[2].data<float>()[0];
    constexpr int kBelow = 4;
    constexpr int kAbove = 6;
    std::array<Lanes, kBelow + 1 + kAbove> candidates;
    for (int64_t g = 0; g < groups_; ++g) {
      const BlockTile t = tile(g);
      const Lanes covering = covering_scale(task_, t);
      const size_t count = task_.search ? candidates.size() : 1;
      for (size_t l = 0; l < kLanes; ++l) {
        const int nearest = Float8E4M3FN::from_float(covering[l] / tensor_scale).bits;
        for (size_t c = 0; c < count; ++c) {
          const int step = task_.search ? static_cast<int>(c) - kBelow : 0;
          const auto code = static_cast<uint8_t>(std::clamp(nearest + step, 1, 0x7e));
          candidates[c][l] = Float8E4M3FN{code}.to_float() * tensor_scale;
        }
      }
      const auto i = static_cast<size_t>(g);
      const TileFit fit = pick_scale(task_, t, std::span(candidates).first(count));
      scales_[i] = fit.scale;
      zeros_[i] = fit.zero;
    }
    return {};
  }

  int64_t groups_per_super() const {
    return format_.super_elems == Format::kPerChannel ? groups_
                                                      : format_.super_elems / format_.group_elems;
  }

  static float rounded_super(bool half, float s) {
    return round_scale(half ? ScaleType::kFloat16 : ScaleType::kFloat32, s);
  }

  // scale = super * code. The float scales of the groups are at hand: the super-scale maps the
  // largest to the largest code, each group takes the better of the two nearest codes, and the
  // super-scale is refitted with the codes held.
  void fit_integer_scales() {
    const int64_t per_super = groups_per_super();
    supers_.assign(static_cast<size_t>((groups_ + per_super - 1) / per_super), {});
    integer_.assign(static_cast<size_t>(groups_), {});
    for (int64_t begin = 0; begin < groups_; begin += per_super) {
      fit_super(begin, std::min(begin + per_super, groups_),
                supers_[static_cast<size_t>(begin / per_super)]);
    }
  }

  void fit_super(int64_t begin, int64_t end, Lanes& super) {
    const bool half = format_.super_elems != Format::kPerChannel;
    const auto top = static_cast<float>(largest_integer_scale(format_.scale));
    for (size_t l = 0; l < kLanes; ++l) {
      float largest = 0;
      for (int64_t g = begin; g < end; ++g) {
        if (!zero_group(g, l)) largest = std::max(largest, scales_[static_cast<size_t>(g)][l]);
      }
      super[l] = rounded_super(half, largest / top);
    }
    LaneErrors total = choose_codes(begin, end, super, top);
    if (!task_.search) return;
    Lanes refitted = super;
    for (size_t l = 0; l < kLanes; ++l) {
      if (total.curvature[l] > 0) {
        refitted[l] = rounded_super(half, super[l] + total.gradient[l] / total.curvature[l]);
      }
      if (!(refitted[l] > 0)) refitted[l] = super[l];
    }
    const std::vector<Lanes> scales = scales_, zeros = zeros_, integer = integer_;
    const LaneErrors again = choose_codes(begin, end, refitted, top);
    for (size_t l = 0; l < kLanes; ++l) {
      if (again.error[l] < total.error[l]) {
        super[l] = refitted[l];
        continue;
      }
      for (auto g = static_cast<size_t>(begin); g < static_cast<size_t>(end); ++g) {
        scales_[g][l] = scales[g][l];
        zeros_[g][l] = zeros[g][l];
        integer_[g][l] = integer[g][l];
      }
    }
  }

  bool zero_group(int64_t g, size_t l) const {
    const float* x = const_cast<TileBuffer&>(values_).data() + g * group_ * kLanes;
    for (int64_t j = 0; j < std::min(group_, in_.cols - g * group_); ++j) {
      if (x[j * kLanes + static_cast<int64_t>(l)] != 0) return false;
    }
    return true;
  }

  // Sets integer_ and scales_ for `super`; gives E and its derivatives by the super-scale.
  LaneErrors choose_codes(int64_t begin, int64_t end, const Lanes& super, float top) {
    LaneErrors total;
    for (int64_t g = begin; g < end; ++g) {
      const auto i = static_cast<size_t>(g);
      Lanes lower, upper;
      for (size_t l = 0; l < kLanes; ++l) {
        const float exact = scales_[i][l] / super[l];
        lower[l] = std::clamp(std::floor(exact), 1.0F, top);
        upper[l] = std::min(lower[l] + 1, top);
      }
      const LaneErrors a = evaluate_tile(task_, tile(g), product(super, lower), zeros_[i], true);
      const LaneErrors b = evaluate_tile(task_, tile(g), product(super, upper), zeros_[i], true);
      for (size_t l = 0; l < kLanes; ++l) {
        const bool up = b.error[l] < a.error[l];
        const LaneErrors& e = up ? b : a;
        const float code = zero_group(g, l) ? 0.0F : up ? upper[l] : lower[l];
        integer_[i][l] = code;
        scales_[i][l] = super[l] * code;
        total.error[l] += e.error[l];
        total.gradient[l] += code * e.gradient[l];
        total.curvature[l] += code * code * e.curvature[l];
      }
    }
    return total;
  }

  static Lanes product(const Lanes& a, const Lanes& b) {
    Lanes c;
    for (size_t l = 0; l < kLanes; ++l) c[l] = a[l] * b[l];
    return c;
  }

  void store() {
    const int64_t row_bytes = out_.parts[0].dim(1);
    std::vector<uint8_t> per_group(static_cast<size_t>(groups_));
    for (int l = 0; l < row_count_; ++l) {
      const int64_t row = first_row_ + l;
      pack_row(leveled_.packing, codes_.data() + l * codes_stride_, in_.cols, leveled_.grid.bits,
               out_.parts[0].data<uint8_t>() + row * row_bytes);
      if (format_.group_elems == Format::kPerTensor) continue;
      store_scales(row, static_cast<size_t>(l), per_group);
      if (!leveled_.grid.zero_point) continue;
      for (size_t g = 0; g < per_group.size(); ++g) {
        per_group[g] = static_cast<uint8_t>(zeros_[g][static_cast<size_t>(l)]);
      }
      Tensor& zeros = out_.parts.back();
      if (format_.group_elems > 0) {
        pack_planes(per_group.data(), groups_, leveled_.grid.bits,
                    zeros.data<uint8_t>() + row * zeros.dim(1));
      } else {
        zeros.data<uint8_t>()[row] = per_group[0];
      }
    }
  }

  void store_scales(int64_t row, size_t l, std::vector<uint8_t>& per_group) {
    Tensor& scales = out_.parts[1];
    if (is_integer_scale(format_.scale)) {
      for (size_t g = 0; g < per_group.size(); ++g) {
        per_group[g] = static_cast<uint8_t>(integer_[g][l]);
      }
      pack_planes(per_group.data(), groups_, bits_of(format_.scale),
                  scales.data<uint8_t>() + row * scales.dim(1));
      const bool half = format_.super_elems != Format::kPerChannel;
      for (size_t s = 0; s < supers_.size(); ++s) {
        store_scale(half ? ScaleType::kFloat16 : ScaleType::kFloat32, supers_[s][l],
                    out_.parts[2].raw(),
                    row * static_cast<int64_t>(supers_.size()) + static_cast<int64_t>(s));
      }
      return;
    }
    float divisor = 1;
    if (format_.scale == ScaleType::kE4M3) divisor = out_.parts[2].data<float>()[0];
    for (int64_t g = 0; g < groups_; ++g) {
      store_scale(format_.scale, scales_[static_cast<size_t>(g)][l] / divisor, scales.raw(),
                  row * groups_ + g);
    }
  }

  const EncodeInput& in_;
  PackedMatrix& out_;
  const Format& format_;
  const Leveled& leveled_;
  int64_t groups_, group_;
  FitTask task_;
  TileBuffer values_, weights_;
  int64_t codes_stride_;               // no power of two: rows would share their cache lines' sets
  std::vector<uint8_t> codes_;         // [16, codes_stride_]
  std::vector<Lanes> scales_, zeros_;  // per group
  std::vector<Lanes> integer_, supers_;
  int64_t first_row_ = 0;
  int row_count_ = 0;
};

// One scale for the whole matrix: its values, 16 by 16, as one joined tile.
Status fit_tensor(const EncodeInput& in, const EncodeOptions& options, PackedMatrix& out) {
  const auto count = static_cast<int64_t>(in.values.size());
  const int64_t n = (count + kLanes - 1) / kLanes;
  TileBuffer values(n * kLanes);
  std::copy(in.values.begin(), in.values.end(), values.data());
  BlockTile tile{values.data(), n, nullptr, false};
  TileBuffer weights(in.importance.empty() && count % kLanes == 0 ? 0 : n * kLanes);
  if (weights.data() != nullptr) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t at = in.importance.size() == in.values.size() ? i : i % in.cols;
      weights.data()[i] = in.importance.empty() ? 1.0F : in.importance[static_cast<size_t>(at)];
    }
    tile.weight = weights.data();
    tile.weight_per_lane = true;
  }
  const Leveled& leveled = *leveled_of(out.format);
  const TileFit fit = fit_tile(
      {.grid = &leveled.grid, .scale = out.format.scale, .search = options.search, .joined = true},
      tile);
  FEWBIT_TRY(check_scale(in, out.format, fit.ideal[0], 0));
  store_scale(out.format.scale, fit.scale[0], out.parts[1].raw(), 0);
  if (leveled.grid.zero_point) {
    out.parts.back().data<uint8_t>()[0] = static_cast<uint8_t>(fit.zero[0]);
  }
  return {};
}

}  // namespace

bool leveled_needs_prepare(const Format& format) {
  return format.group_elems == Format::kPerTensor || format.scale == ScaleType::kE4M3;
}

Status leveled_prepare(const EncodeInput& in, const EncodeOptions& options, PackedMatrix& out) {
  if (out.format.group_elems == Format::kPerTensor) return fit_tensor(in, options, out);
  float largest = 0;
  for (float x : in.values) largest = std::max(largest, std::fabs(x));
  // Room for 1.5 times the largest scale where both ways to map a block's maximum are tried:
  // 256 * 1.5 = 384 is below 448.
  const float scale_top = options.search ? 256.0F : 448.0F;
  const float tensor_scale = largest / (leveled_of(out.format)->grid.highest() * scale_top);
  out.parts[2].data<float>()[0] = round_scale(ScaleType::kFloat32, largest == 0 ? 1 : tensor_scale);
  return {};
}

Status leveled_encode(const EncodeInput& in, const EncodeOptions& options, int64_t row_begin,
                      int64_t row_end, PackedMatrix& out) {
  RowBlock block(in, options, out);
  for (int64_t row = row_begin; row < row_end; row += kLanes) {
    FEWBIT_TRY(block.encode(row, static_cast<int>(std::min<int64_t>(kLanes, row_end - row))));
  }
  return {};
}

}  // namespace fewbit::formats
