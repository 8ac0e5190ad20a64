#include "kernels/int8_gemm/int8_reference.h"

#include <algorithm>
#include <cmath>

namespace fewbit {
namespace {

int32_t clamp_round(float x, float lo, float hi) {
  return static_cast<int32_t>(std::nearbyintf(std::min(std::max(x, lo), hi)));
}

float channel_scale(const Int8OutputSpec& spec, int64_t channel) {
  return spec.scale[spec.scale.size() == 1 ? 0 : static_cast<size_t>(channel)];
}

int32_t add_reference(const Int8Residual& r, int32_t q, int32_t residual) {
  const float rx = r.product_scale / r.out_scale;
  const float ry = r.residual_scale / r.out_scale;
  const float product_part = rx * static_cast<float>(r.product_zero);
  const float residual_part = ry * static_cast<float>(r.residual_zero);
  const float fixed = static_cast<float>(r.out_zero) - (product_part + residual_part);
  const auto x = static_cast<float>(q);
  const auto y = static_cast<float>(residual);
  const float sum = r.residual_first ? std::fma(y, ry, std::fma(x, rx, fixed))
                                     : std::fma(x, rx, std::fma(y, ry, fixed));
  return clamp_round(sum, static_cast<float>(r.lo2), static_cast<float>(r.hi2));
}

}  // namespace

int32_t byte_at(const void* data, int64_t i, DType type) {
  const uint8_t byte = static_cast<const uint8_t*>(data)[i];
  return type == DType::kUint8 ? byte : static_cast<int8_t>(byte);
}

void int8_output_reference(const Int8OutputSpec& spec, int64_t channel, int32_t acc,
                           int32_t residual, const float* row_scale, void* out, int64_t at) {
  if (spec.type == DType::kInt32) {
    static_cast<int32_t*>(out)[at] = acc;
    return;
  }
  float scale = channel_scale(spec, channel);
  if (spec.type == DType::kFloat32) {
    if (row_scale != nullptr) scale = *row_scale * scale;
    float x = static_cast<float>(acc) * scale;
    if (!spec.float_bias.empty()) x = x + spec.float_bias[static_cast<size_t>(channel)];
    static_cast<float*>(out)[at] = std::min(std::max(x, spec.float_lo), spec.float_hi);
    return;
  }
  int32_t q = clamp_round(static_cast<float>(acc) * scale, static_cast<float>(spec.lo - spec.zero),
                          static_cast<float>(spec.hi - spec.zero)) +
              spec.zero;
  if (spec.residual) q = add_reference(*spec.residual, q, residual);
  auto byte = static_cast<uint8_t>(q);
  if (!spec.lut.empty()) byte = spec.lut[byte];
  static_cast<uint8_t*>(out)[at] = byte;
}

void int8_gemm_reference(const Int8GemmSpec& spec, const void* b, int64_t b_stride,
                         std::span<const int32_t> bias, const Int8GemmCall& call) {
  const int64_t a_stride = call.a_stride != 0 ? call.a_stride : spec.k;
  const int64_t c_stride = call.c_stride != 0 ? call.c_stride : spec.n;
  const int64_t residual_stride = call.residual_stride != 0 ? call.residual_stride : spec.n;
  if (b_stride == 0) b_stride = spec.b_transposed ? spec.k : spec.n;
  for (int64_t m = 0; m < call.m; ++m) {
    for (int64_t n = 0; n < spec.n; ++n) {
      const int32_t a_zero = call.row_zero != nullptr ? call.row_zero[m] : spec.a_zero;
      const size_t zero_at = spec.b_zero.size() == 1 ? 0 : static_cast<size_t>(n);
      const int32_t b_zero = spec.b_zero.empty() ? 0 : spec.b_zero[zero_at];
      int64_t acc = bias.empty() ? 0 : bias[static_cast<size_t>(n)];
      for (int64_t k = 0; k < spec.k; ++k) {
        const int64_t at = spec.b_transposed ? n * b_stride + k : k * b_stride + n;
        acc += int64_t{byte_at(call.a, m * a_stride + k, spec.a_type) - a_zero} *
               (byte_at(b, at, spec.b_type) - b_zero);
      }
      const int32_t residual =
          call.residual == nullptr
              ? 0
              : byte_at(call.residual, m * residual_stride + n, spec.output.type);
      int8_output_reference(spec.output, n, static_cast<int32_t>(acc), residual,
                            call.row_scale != nullptr ? call.row_scale + m : nullptr, call.c,
                            m * c_stride + n);
    }
  }
}

}  // namespace fewbit
