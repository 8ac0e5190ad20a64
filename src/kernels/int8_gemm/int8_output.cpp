#include "kernels/int8_gemm/int8_output.h"

#include <cmath>

namespace fewbit {
namespace {

struct ByteRange {
  int32_t lo;
  int32_t hi;
};

ByteRange range_of(DType type) {
  return type == DType::kUint8 ? ByteRange{0, 255} : ByteRange{-128, 127};
}

Status check_range(const char* what, int32_t zero, int32_t lo, int32_t hi, DType type) {
  const ByteRange range = range_of(type);
  if (zero < range.lo || zero > range.hi) {
    return bad_input("{}: zero point {} is outside {}", what, zero, name_of(type));
  }
  if (lo < range.lo || hi > range.hi || lo > hi) {
    return bad_input("{}: clamp range [{}, {}] is not within {}", what, lo, hi, name_of(type));
  }
  return {};
}

Status check_floats(const char* what, const std::vector<float>& values, int64_t channels,
                    bool one_is_enough) {
  const auto count = static_cast<int64_t>(values.size());
  if (count != channels && !(one_is_enough && count == 1)) {
    return bad_input("{}: {} values for {} output channels", what, count, channels);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) return bad_input("{}[{}] is not finite", what, i);
  }
  return {};
}

Status check_residual(const Int8Residual& r, DType type) {
  FEWBIT_TRY(check_range("residual: product", r.product_zero, 0, 0, type));
  FEWBIT_TRY(check_range("residual: residual", r.residual_zero, 0, 0, type));
  FEWBIT_TRY(check_range("residual: result", r.out_zero, r.lo2, r.hi2, type));
  for (float s : {r.product_scale, r.residual_scale, r.out_scale}) {
    if (!(s > 0) || !std::isfinite(s)) return bad_input("residual: scale {} is not positive", s);
  }
  return {};
}

}  // namespace

Status validate(const Int8OutputSpec& spec, int64_t channels) {
  if (!spec.is_8bit() && spec.type != DType::kFloat32 && spec.type != DType::kInt32) {
    return unsupported("output type {} of an 8-bit product", name_of(spec.type));
  }
  if (spec.type != DType::kInt32) {
    FEWBIT_TRY(check_floats("output scale", spec.scale, channels, true));
  }
  if (spec.is_8bit()) {
    FEWBIT_TRY(check_range("output", spec.zero, spec.lo, spec.hi, spec.type));
    if (spec.residual) FEWBIT_TRY(check_residual(*spec.residual, spec.type));
    if (!spec.lut.empty() && spec.lut.size() != 256) {
      return bad_input("output lut: {} entries, expected 256", spec.lut.size());
    }
  } else if (spec.residual || !spec.lut.empty()) {
    return unsupported("residual or lut with {} output", name_of(spec.type));
  }
  if (!spec.float_bias.empty()) {
    if (spec.type != DType::kFloat32) {
      return unsupported("float bias with {} output", name_of(spec.type));
    }
    FEWBIT_TRY(check_floats("output float bias", spec.float_bias, channels, false));
  }
  return {};
}

int64_t output_element_bytes(DType type) {
  return type == DType::kUint8 || type == DType::kInt8 ? 1 : 4;
}

}  // namespace fewbit
