#include "runtime/ops/quant_math.h"

#include <cmath>

namespace fewbit::ops {

Result<std::vector<int32_t>> read_codes8(const Node& node, const Tensor& tensor) {
  std::vector<int32_t> values;
  FEWBIT_TRY(dispatch(node, tensor.type(), Codes8{}, [&](auto tag) -> Status {
    const auto codes = tensor.span<typename decltype(tag)::type>();
    values.assign(codes.begin(), codes.end());
    return {};
  }));
  return values;
}

Result<std::vector<float>> read_floats(const Node& node, const Tensor& tensor,
                                       std::string_view what) {
  if (!is_float(tensor.type())) {
    return node_error(node, "{} must be a float tensor, not {}", what, name_of(tensor.type()));
  }
  FEWBIT_ASSIGN(const Tensor wide, cast(tensor, DType::kFloat32));
  return std::vector<float>(wide.span<float>().begin(), wide.span<float>().end());
}

Result<float> read_scale(const OpContext& ctx, size_t i) {
  FEWBIT_ASSIGN(const double scale, read_number(ctx.node(), ctx.in(i), "the scale"));
  return static_cast<float>(scale);
}

Result<int32_t> read_zero(const OpContext& ctx, size_t i, DType codes) {
  if (!ctx.has(i)) return int32_t{0};
  const Tensor& t = ctx.in(i);
  if (t.type() != codes || t.elements() != 1) {
    return node_error(ctx.node(), "the zero point (input {}) must be one {}, is {} {}", i,
                      name_of(codes), name_of(t.type()), to_string(t.dims()));
  }
  FEWBIT_ASSIGN(const auto value, read_codes8(ctx.node(), t));
  return value[0];
}

DynamicScale dynamic_scale(std::span<const float> values) {
  float low = 0, high = 0;
  for (float v : values) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  const float scale = (high - low) / 255.0F;
  if (!(scale > 0)) return {1.0F, 0};
  return {scale, to_code<uint8_t>(-low / scale, 0)};
}

Result<Tensor> centered(const Node& node, const Tensor& codes, const std::vector<int32_t>& zeros,
                        size_t axis) {
  FEWBIT_ASSIGN(Tensor out, make_tensor(node, DType::kUint32, codes.dims()));
  const auto at = static_cast<int64_t>(axis);
  const int64_t channels = zeros.size() == 1 ? 1 : codes.dim(at);
  if (channels != static_cast<int64_t>(zeros.size())) {
    return node_error(node, "{} zero points for {} channels", zeros.size(), channels);
  }
  if (codes.elements() == 0) return out;
  const int64_t inner =
      zeros.size() == 1 ? codes.elements() : product(codes.dims(), at + 1, codes.rank());
  FEWBIT_TRY(dispatch(node, codes.type(), Codes8{}, [&](auto tag) -> Status {
    const auto* src = codes.data<typename decltype(tag)::type>();
    auto* dst = out.data<uint32_t>();
    for (int64_t row = 0; row < codes.elements() / inner; ++row) {
      const int32_t zero = zeros[static_cast<size_t>(row % channels)];
      for (int64_t i = row * inner; i < (row + 1) * inner; ++i) {
        dst[i] = static_cast<uint32_t>(int32_t{src[i]} - zero);
      }
    }
    return {};
  }));
  return out;
}

}  // namespace fewbit::ops
