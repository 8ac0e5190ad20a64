#include "runtime/qdq/qdq.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "numerics/convert.h"

namespace fewbit {
namespace {

std::optional<std::vector<float>> float_values(const Tensor* tensor) {
  if (tensor == nullptr || !is_float(tensor->type())) return std::nullopt;
  auto as_float = cast(*tensor, DType::kFloat32);
  if (!as_float.ok()) return std::nullopt;
  auto span = std::as_const(*as_float).span<float>();
  return std::vector<float>(span.begin(), span.end());
}

std::optional<std::vector<int32_t>> integer_values(const Tensor& tensor) {
  if (!is_integer(tensor.type())) return std::nullopt;
  auto as_int = cast(tensor, DType::kInt32);
  if (!as_int.ok()) return std::nullopt;
  auto span = std::as_const(*as_int).span<int32_t>();
  return std::vector<int32_t>(span.begin(), span.end());
}

}  // namespace

std::pair<int32_t, int32_t> code_range(DType type) {
  int bits = bits_of(type);
  FEWBIT_CHECK(is_integer(type) && bits <= 16, name_of(type));
  if (is_signed_integer(type)) return {-(1 << (bits - 1)), (1 << (bits - 1)) - 1};
  return {0, (1 << bits) - 1};
}

std::optional<QuantParams> quant_params(const Graph& graph, const Node& node, ValueId scale,
                                        ValueId zero, DType value_type) {
  if (node.get_int("block_size", 0) != 0) return std::nullopt;
  if (!is_integer(value_type) || bits_of(value_type) > 16) return std::nullopt;
  QuantParams params;
  params.type = value_type;
  std::optional<std::vector<float>> scales = float_values(graph.constant(scale));
  if (!scales || scales->empty() || graph.constant(scale)->rank() > 1) return std::nullopt;
  params.scale = std::move(*scales);
  if (zero == kNone) {
    params.zero.assign(params.scale.size(), 0);
  } else {
    const Tensor* tensor = graph.constant(zero);
    if (tensor == nullptr || tensor->type() != value_type) return std::nullopt;
    std::optional<std::vector<int32_t>> zeros = integer_values(*tensor);
    if (!zeros || zeros->size() != params.scale.size()) return std::nullopt;
    params.zero = std::move(*zeros);
  }
  params.axis = node.get_int("axis", 1);
  for (float s : params.scale) {
    if (!(s > 0) || !std::isfinite(s)) return std::nullopt;
  }
  return params;
}

std::optional<Dequantized> dequantized(const Graph& graph, ValueId value) {
  if (value == kNone || graph.value(value).producer == kNone) return std::nullopt;
  Dequantized d;
  d.node = graph.value(value).producer;
  const Node& node = graph.node(d.node);
  if (node.op_type != "DequantizeLinear" ||
      (!node.domain.empty() && node.domain != "com.microsoft")) {
    return std::nullopt;
  }
  d.quantized = node.input(0);
  d.scale = node.input(1);
  d.zero = node.input(2);
  d.constant = graph.constant(d.quantized) != nullptr;
  DType type =
      d.constant ? graph.constant(d.quantized)->type() : graph.value(d.quantized).type.elem;
  if (type == DType::kUndefined && d.zero != kNone && graph.constant(d.zero) != nullptr) {
    type = graph.constant(d.zero)->type();
  }
  // int32 is the bias: read here too, although no quantizer writes it.
  if (type == DType::kInt32) {
    std::optional<std::vector<float>> scales = float_values(graph.constant(d.scale));
    if (!scales || scales->empty()) return std::nullopt;
    d.params.type = type;
    d.params.zero.assign(scales->size(), 0);
    d.params.scale = std::move(*scales);
    return d;
  }
  std::optional<QuantParams> params = quant_params(graph, node, d.scale, d.zero, type);
  if (!params) return std::nullopt;
  d.params = std::move(*params);
  return d;
}

std::optional<Quantizer> as_quantizer(const Graph& graph, NodeId id) {
  if (id == kNone) return std::nullopt;
  const Node& node = graph.node(id);
  if (node.op_type != "QuantizeLinear" ||
      (!node.domain.empty() && node.domain != "com.microsoft")) {
    return std::nullopt;
  }
  Quantizer q;
  q.node = id;
  q.quantized = node.output(0);
  q.scale = node.input(1);
  q.zero = node.input(2);
  auto type = static_cast<DType>(node.get_int("output_dtype", 0));
  if (type == DType::kUndefined) {
    const Tensor* zero = graph.constant(q.zero);
    if (q.zero != kNone && zero == nullptr) return std::nullopt;
    type = zero == nullptr ? DType::kUint8 : zero->type();
  }
  std::optional<QuantParams> params = quant_params(graph, node, q.scale, q.zero, type);
  if (!params || !params->per_tensor()) return std::nullopt;
  q.params = std::move(*params);
  return q;
}

bool pads_with_zeros(const Graph& graph, const Node& node) {
  if (!node.is("Pad") || node.opset < 11 || node.get_string("mode", "constant") != "constant") {
    return false;
  }
  if (node.input(2) == kNone) return true;
  std::optional<std::vector<float>> value = float_values(graph.constant(node.input(2)));
  return value && value->size() == 1 && value->front() == 0;
}

std::optional<std::pair<float, float>> clamp_bounds(const Graph& graph, const Node& node) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  if (node.is("Relu")) return std::pair{0.0F, kInf};
  if (!node.is("Clip")) return std::nullopt;
  if (node.opset < 11) return std::pair{node.get_float("min", -kInf), node.get_float("max", kInf)};
  float bounds[2] = {-kInf, kInf};
  for (size_t i = 1; i <= 2; ++i) {
    if (node.input(i) == kNone) continue;
    std::optional<std::vector<float>> v = float_values(graph.constant(node.input(i)));
    if (!v || v->size() != 1 || std::isnan(v->front())) return std::nullopt;
    bounds[i - 1] = v->front();
  }
  return std::pair{bounds[0], bounds[1]};
}

std::optional<std::pair<int32_t, int32_t>> clamp_codes(const Graph& graph, const Node& node,
                                                       const QuantParams& params,
                                                       std::pair<int32_t, int32_t> range) {
  std::optional<std::pair<float, float>> bounds = clamp_bounds(graph, node);
  if (!bounds || !params.per_tensor()) return std::nullopt;
  auto [qmin, qmax] = code_range(params.type);
  auto quantize = [&, low = qmin, high = qmax](float x) {
    if (std::isinf(x)) return x < 0 ? low : high;
    float q = std::nearbyintf(x / params.scale[0]) + static_cast<float>(params.zero[0]);
    return static_cast<int32_t>(std::clamp(q, static_cast<float>(low), static_cast<float>(high)));
  };
  // ONNX's Clip with min > max gives max everywhere: applying lo first keeps that.
  range.first = std::min(std::max(range.first, quantize(bounds->first)), quantize(bounds->second));
  range.second =
      std::min(std::max(range.second, quantize(bounds->first)), quantize(bounds->second));
  return range;
}

}  // namespace fewbit
