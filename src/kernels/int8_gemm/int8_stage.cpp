#include <algorithm>
#include <cmath>

#include "kernels/int8_gemm/int8_core.h"

namespace fewbit::int8 {
namespace {

// Spreads one value or one per channel over the packed columns; padding gets 0.
Tensor spread(const std::vector<float>& values, std::span<const int64_t> channel_of) {
  Tensor out = Tensor::zeros(DType::kFloat32, {static_cast<int64_t>(channel_of.size())});
  for (size_t i = 0; i < channel_of.size(); ++i) {
    if (channel_of[i] < 0) continue;
    const size_t at = values.size() == 1 ? 0 : static_cast<size_t>(channel_of[i]);
    out.data<float>()[i] = values[at];
  }
  return out;
}

void set_residual(Stage& stage, const Int8Residual& r) {
  stage.add = true;
  stage.residual_first = r.residual_first;
  stage.product_ratio = r.product_scale / r.out_scale;
  stage.residual_ratio = r.residual_scale / r.out_scale;
  const float product_part = stage.product_ratio * static_cast<float>(r.product_zero);
  const float residual_part = stage.residual_ratio * static_cast<float>(r.residual_zero);
  stage.fixed = static_cast<float>(r.out_zero) - (product_part + residual_part);
  stage.lo2 = r.lo2;
  stage.hi2 = r.hi2;
}

}  // namespace

StagePlan::StagePlan(const Int8OutputSpec& spec, std::span<const int64_t> channel_of,
                     double max_abs_acc) {
  stage_.type = spec.type;
  float max_scale = 0;
  for (float s : spec.scale) max_scale = std::max(max_scale, std::abs(s));
  stage_.may_overflow = max_abs_acc * max_scale >= 2147483000.0;
  const std::vector<float> none = {0.0F};
  scale_ = spread(spec.scale.empty() ? none : spec.scale, channel_of);
  stage_.scale = scale_.data<float>();
  if (!spec.float_bias.empty()) {
    float_bias_ = spread(spec.float_bias, channel_of);
    stage_.float_bias = float_bias_.data<float>();
  }
  stage_.float_lo = spec.float_lo;
  stage_.float_hi = spec.float_hi;
  stage_.zero = spec.zero;
  stage_.lo = spec.lo;
  stage_.hi = spec.hi;
  if (spec.residual) set_residual(stage_, *spec.residual);
  if (!spec.lut.empty()) {
    lut_ = Tensor::from<uint8_t>({256}, spec.lut);
    stage_.lut = lut_.data<uint8_t>();
  }
}

}  // namespace fewbit::int8
