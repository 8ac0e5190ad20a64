#include "kernels/int8_conv/int8_conv_spec.h"

namespace fewbit {
namespace {

Status check_type_and_zero(const char* what, DType type, int32_t zero) {
  if (type != DType::kUint8 && type != DType::kInt8) {
    return unsupported("8-bit convolution: {} is {}, expected uint8 or int8", what, name_of(type));
  }
  const int32_t lo = type == DType::kUint8 ? 0 : -128;
  if (zero < lo || zero > lo + 255) {
    return bad_input("8-bit convolution: zero point {} of the {} is outside {}", zero, what,
                     name_of(type));
  }
  return {};
}

// Generous bounds that keep every product of sizes within int64.
Status check_size(const char* what, int64_t value, int64_t smallest) {
  if (value < smallest || value > (int64_t{1} << 24)) {
    return bad_input("8-bit convolution: {} = {} is not within [{}, 2^24]", what, value, smallest);
  }
  return {};
}

}  // namespace

Status validate(const Int8ConvSpec& s) {
  FEWBIT_TRY(check_size("in_channels", s.in_channels, 1));
  FEWBIT_TRY(check_size("out_channels", s.out_channels, 1));
  FEWBIT_TRY(check_size("groups", s.groups, 1));
  FEWBIT_TRY(check_size("kernel_h", s.kernel_h, 1));
  FEWBIT_TRY(check_size("kernel_w", s.kernel_w, 1));
  FEWBIT_TRY(check_size("stride_h", s.stride_h, 1));
  FEWBIT_TRY(check_size("stride_w", s.stride_w, 1));
  FEWBIT_TRY(check_size("dilation_h", s.dilation_h, 1));
  FEWBIT_TRY(check_size("dilation_w", s.dilation_w, 1));
  FEWBIT_TRY(check_size("pad_top", s.pad_top, 0));
  FEWBIT_TRY(check_size("pad_left", s.pad_left, 0));
  if (s.in_channels % s.groups != 0 || s.out_channels % s.groups != 0) {
    return bad_input(
        "8-bit convolution: {} input and {} output channels do not divide into {} groups",
        s.in_channels, s.out_channels, s.groups);
  }
  FEWBIT_TRY(check_type_and_zero("input", s.input_type, s.input_zero));
  const auto zeros = static_cast<int64_t>(s.weight_zero.size());
  if (zeros > 1 && zeros != s.out_channels) {
    return bad_input("8-bit convolution: {} weight zero points for {} output channels", zeros,
                     s.out_channels);
  }
  FEWBIT_TRY(
      check_type_and_zero("weights", s.weight_type, s.weight_type == DType::kUint8 ? 128 : 0));
  for (int32_t zero : s.weight_zero) {
    FEWBIT_TRY(check_type_and_zero("weights", s.weight_type, zero));
  }
  return validate(s.output, s.out_channels);
}

int64_t conv_output_size(int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                         int64_t pad_begin, int64_t pad_end) {
  const int64_t room = in + pad_begin + pad_end - dilation * (kernel - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

}  // namespace fewbit
