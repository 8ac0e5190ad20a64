// QuantizeLinear, DequantizeLinear (also of com.microsoft, whose older forms are the same) and
// DynamicQuantizeLinear.

#include <cmath>

#include "runtime/ops/float_io.h"
#include "runtime/ops/granularity.h"
#include "runtime/ops/quant_math.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

Error scale_error(const Node& node, const Tensor& data, const Tensor& scale, int64_t axis,
                  int64_t block) {
  return node_error(node, "a scale of shape {} does not fit {} with axis {} and block_size {}",
                    to_string(scale.dims()), to_string(data.dims()), axis, block);
}

bool blocks_fit(const Dims& data, const Dims& scale, size_t axis, int64_t block) {
  if (scale.size() != data.size()) return false;
  for (size_t d = 0; d < data.size(); ++d) {
    const int64_t expected = d == axis ? (data[d] + block - 1) / block : data[d];
    if (scale[d] != expected) return false;
  }
  return true;
}

}  // namespace

Result<Granularity> read_granularity(const OpContext& ctx, const Tensor& data,
                                     const Tensor& scale) {
  const Node& node = ctx.node();
  Granularity g;
  const int64_t block = node.get_int("block_size", 0);
  // A scalar, or before opset 21 also a one-element vector, is one scale for the whole tensor.
  if (scale.rank() == 0 || (scale.elements() == 1 && block == 0)) {
    g.inner = data.elements();
    return g;
  }
  int64_t axis = node.get_int("axis", 1);
  // ONNX: with a vector as data the axis does not matter.
  if (data.rank() == 1) axis = 0;
  FEWBIT_ASSIGN(axis, normalize_axis(node, axis, data.rank()));
  if (block < 0 || block > (int64_t{1} << 40)) {
    return node_error(node, "block_size {} makes no sense", block);
  }
  g.outer = product(data.dims(), 0, axis);
  g.length = data.dim(axis);
  g.inner = product(data.dims(), axis + 1, data.rank());
  if (block == 0) {
    if (scale.rank() != 1 || scale.dim(0) != g.length) {
      return scale_error(node, data, scale, axis, block);
    }
    g.axis_step = 1;
    return g;
  }
  if (!blocks_fit(data.dims(), scale.dims(), static_cast<size_t>(axis), block)) {
    return scale_error(node, data, scale, axis, block);
  }
  g.block = block;
  g.outer_step = (g.length + block - 1) / block * g.inner;
  g.axis_step = g.inner;
  g.inner_step = 1;
  return g;
}

namespace {

bool is_code_type(DType type) {
  switch (type) {
    case DType::kUint16:
    case DType::kInt16:
    case DType::kUint8:
    case DType::kInt8:
    case DType::kUint4:
    case DType::kInt4:
    case DType::kUint2:
    case DType::kInt2:
      return true;
    default:
      return false;
  }
}

bool is_small_float(DType type) {
  return is_float(type) && bits_of(type) <= 8;
}

// An attribute that names an element type; kUndefined if it is absent or 0.
Result<DType> read_dtype(const Node& node, std::string_view key) {
  const int64_t type = node.get_int(key, 0);
  if (type < 0 || type >= kDTypeCount) {
    return unsupported("{}: {} {} is no known element type", node.label(), key, type);
  }
  return static_cast<DType>(type);
}

// The type of the codes: that of the zero point, or output_dtype, or uint8.
Result<DType> code_type(const OpContext& ctx) {
  FEWBIT_ASSIGN(const DType asked, read_dtype(ctx.node(), "output_dtype"));
  DType type = asked == DType::kUndefined ? DType::kUint8 : asked;
  if (ctx.has(2)) {
    type = ctx.in(2).type();
    if (asked != DType::kUndefined && asked != type) {
      return node_error(ctx.node(), "output_dtype {} contradicts the zero point's {}",
                        name_of(asked), name_of(type));
    }
  }
  if (!is_code_type(type) && !is_small_float(type)) return type_error(ctx.node(), type);
  return type;
}

// Zero points as integers or floats, as many as there are scales.
template <typename T>
Result<std::vector<T>> read_zeros(const OpContext& ctx, DType type, const Tensor& scale) {
  if (!ctx.has(2)) return std::vector<T>(static_cast<size_t>(scale.elements()), T{0});
  const Tensor& zero = ctx.in(2);
  if (zero.type() != type || zero.elements() != scale.elements()) {
    return node_error(ctx.node(), "the zero point must be {} of shape {}, is {} {}", name_of(type),
                      to_string(scale.dims()), name_of(zero.type()), to_string(zero.dims()));
  }
  FEWBIT_ASSIGN(const Tensor wide, cast(zero, DTypeOf<T>::value));
  return std::vector<T>(wide.span<T>().begin(), wide.span<T>().end());
}

// x / scale in `precision`: a quotient of two float16 (or bfloat16) computed in float and rounded
// once is the correctly rounded one. Without narrow types it is a float division.
Result<Tensor> quotients(const OpContext& ctx, const Granularity& g) {
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(DType precision, read_dtype(node, "precision"));
  if (precision == DType::kUndefined) precision = ctx.in(1).type();
  const bool narrow = precision == DType::kFloat16 || precision == DType::kBfloat16;
  Tensor x = ctx.in(0), scale = ctx.in(1);
  if (narrow) {
    FEWBIT_ASSIGN(x, cast(x, precision));
    FEWBIT_ASSIGN(scale, cast(scale, precision));
  }
  FEWBIT_ASSIGN(x, cast(x, DType::kFloat32));
  FEWBIT_ASSIGN(scale, cast(scale, DType::kFloat32));
  FEWBIT_ASSIGN(Tensor out, make_tensor(node, DType::kFloat32, x.dims()));
  const float* src = std::as_const(x).data<float>();
  const float* divisor = std::as_const(scale).data<float>();
  float* dst = out.data<float>();
  g.for_each_run([&](int64_t first, int64_t count, int64_t at, int64_t step) {
    for (int64_t i = 0; i < count; ++i) dst[first + i] = src[first + i] / divisor[at + i * step];
  });
  if (!narrow) return out;
  FEWBIT_ASSIGN(const Tensor rounded, cast(out, precision));
  return cast(rounded, DType::kFloat32);
}

struct CodeRange {
  int32_t low, high;
};

CodeRange range_of(DType type) {
  const int bits = bits_of(type);
  if (is_signed_integer(type)) return {-(1 << (bits - 1)), (1 << (bits - 1)) - 1};
  return {0, (1 << bits) - 1};
}

Status quantize_to_integers(OpContext& ctx, const Granularity& g, const Tensor& quotient,
                            DType type) {
  FEWBIT_ASSIGN(const auto zeros, read_zeros<int32_t>(ctx, type, ctx.in(1)));
  const bool packed = is_packed(type);
  Tensor codes;
  if (packed) {
    FEWBIT_ASSIGN(codes, make_tensor(ctx.node(), DType::kUint8, quotient.dims()));
  } else {
    FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, type, quotient.dims()));
    codes = *out;
  }
  const CodeRange range = range_of(type);
  const float* src = quotient.data<float>();
  FEWBIT_TRY(dispatch(ctx.node(), codes.type(), Types<uint8_t, int8_t, uint16_t, int16_t>{},
                      [&](auto tag) -> Status {
                        using Q = typename decltype(tag)::type;
                        const auto mask = packed ? (1 << bits_of(type)) - 1 : -1;
                        Q* dst = codes.data<Q>();
                        g.for_each_run([&](int64_t first, int64_t count, int64_t at, int64_t step) {
                          for (int64_t i = 0; i < count; ++i) {
                            const int32_t zero = zeros[static_cast<size_t>(at + i * step)];
                            dst[first + i] = static_cast<Q>(
                                to_code(src[first + i], zero, range.low, range.high) & mask);
                          }
                        });
                        return {};
                      }));
  if (packed) ctx.set_out(0, pack_codes(codes, type));
  return {};
}

Status quantize_to_floats(OpContext& ctx, const Granularity& g, Tensor quotient, DType type) {
  FEWBIT_ASSIGN(const auto zeros, read_zeros<float>(ctx, type, ctx.in(1)));
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, type, quotient.dims()));
  float* values = quotient.data<float>();
  g.for_each_run([&](int64_t first, int64_t count, int64_t at, int64_t step) {
    for (int64_t i = 0; i < count; ++i)
      values[first + i] += zeros[static_cast<size_t>(at + i * step)];
  });
  return cast_into(quotient, *out, {.saturate = ctx.node().get_int("saturate", 1) != 0});
}

Status quantize_linear(OpContext& ctx) {
  const DType in_type = ctx.in(0).type(), scale_type = ctx.in(1).type();
  if (in_type != DType::kInt32 && !is_float(in_type)) return type_error(ctx.node(), in_type);
  if (scale_type != DType::kInt32 && !is_float(scale_type)) {
    return type_error(ctx.node(), scale_type);
  }
  FEWBIT_ASSIGN(const DType type, code_type(ctx));
  FEWBIT_ASSIGN(const Granularity g, read_granularity(ctx, ctx.in(0), ctx.in(1)));
  FEWBIT_ASSIGN(Tensor quotient, quotients(ctx, g));
  if (is_code_type(type)) return quantize_to_integers(ctx, g, quotient, type);
  return quantize_to_floats(ctx, g, std::move(quotient), type);
}

// The type of the result: output_dtype, or that of the scale; a power of two (float8e8m0) is no
// result, its products are float32.
Result<DType> dequantized_type(const OpContext& ctx) {
  FEWBIT_ASSIGN(DType type, read_dtype(ctx.node(), "output_dtype"));
  if (type == DType::kUndefined) type = ctx.in(1).type();
  if (type == DType::kFloat8E8M0) type = DType::kFloat32;
  if (!is_float(type) || is_small_float(type)) return type_error(ctx.node(), type);
  return type;
}

// y = (x - zero) * scale. T holds every code exactly: double for int32, else float.
template <typename T>
Status dequantize(OpContext& ctx, const Granularity& g, DType type) {
  FEWBIT_ASSIGN(const Tensor x, cast(ctx.in(0), DTypeOf<T>::value));
  FEWBIT_ASSIGN(const Tensor scale, cast(ctx.in(1), DType::kFloat32));
  FEWBIT_ASSIGN(const auto zeros, read_zeros<T>(ctx, ctx.in(0).type(), scale));
  FEWBIT_ASSIGN(auto y, FloatOutput<float>::make(ctx, 0, type, x.dims()));
  const T* src = x.data<T>();
  const float* factors = scale.data<float>();
  float* dst = y.data();
  g.for_each_run([&](int64_t first, int64_t count, int64_t at, int64_t step) {
    const T* zero = zeros.data() + at;
    const float* factor = factors + at;
    for (int64_t i = 0; i < count; ++i) {
      dst[first + i] = static_cast<float>(src[first + i] - zero[i * step]) * factor[i * step];
    }
  });
  return y.commit();
}

Status dequantize_linear(OpContext& ctx) {
  const DType in_type = ctx.in(0).type();
  const bool wide = in_type == DType::kInt32;
  if (!wide && !is_code_type(in_type) && !is_small_float(in_type)) {
    return type_error(ctx.node(), in_type);
  }
  if (!is_float(ctx.in(1).type())) return type_error(ctx.node(), ctx.in(1).type());
  FEWBIT_ASSIGN(const DType type, dequantized_type(ctx));
  FEWBIT_ASSIGN(const Granularity g, read_granularity(ctx, ctx.in(0), ctx.in(1)));
  return wide ? dequantize<double>(ctx, g, type) : dequantize<float>(ctx, g, type);
}

Status dynamic_quantize_linear(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  if (x.type() != DType::kFloat32) return type_error(ctx.node(), x.type());
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, DType::kUint8, x.dims()));
  FEWBIT_ASSIGN(Tensor * scale_out, make_output(ctx, 1, DType::kFloat32, {}));
  FEWBIT_ASSIGN(Tensor * zero_out, make_output(ctx, 2, DType::kUint8, {}));
  const DynamicScale q = dynamic_scale(x.span<float>());
  for (int64_t i = 0; i < x.elements(); ++i) {
    y->data<uint8_t>()[i] = to_code<uint8_t>(x.data<float>()[i] / q.scale, q.zero);
  }
  *scale_out->data<float>() = q.scale;
  *zero_out->data<uint8_t>() = static_cast<uint8_t>(q.zero);
  return {};
}

constexpr OpRow kRows[] = {
    {"", "QuantizeLinear", 10, quantize_linear},
    {"", "DequantizeLinear", 10, dequantize_linear},
    {"", "DynamicQuantizeLinear", 11, dynamic_quantize_linear},
    {"com.microsoft", "QuantizeLinear", 1, quantize_linear},
    {"com.microsoft", "DequantizeLinear", 1, dequantize_linear},
};

}  // namespace

std::span<const OpRow> quant_table() {
  return kRows;
}

}  // namespace fewbit::ops
