#include "runtime/qdq/few_bit_operand.h"

#include <algorithm>
#include <cmath>

#include "runtime/integer_weight.h"

namespace fewbit {

std::optional<Dequantized> few_bit_operand(const Graph& graph, ValueId value) {
  if (value == kNone || graph.value(value).producer == kNone) return std::nullopt;
  const Node& decode = graph.node(graph.value(value).producer);
  if (!is_decode(decode)) return std::nullopt;
  const auto matrix = packed_matrix(graph, decode);
  if (!matrix.ok()) return std::nullopt;
  auto scales = integer_scales(*matrix);
  const bool transposed = decode.get_int("transposed", 0) != 0;
  const Dims dims = decode.get_ints("dims");
  if (!scales.ok() || dims.empty()) return std::nullopt;
  if ((transposed ? dims.back() : dims.front()) != matrix->rows) return std::nullopt;
  Dequantized d;
  d.node = graph.value(value).producer;
  d.constant = true;
  d.params.type = DType::kInt8;
  d.params.scale = std::move(*scales);
  d.params.zero.assign(d.params.scale.size(), 0);
  d.params.axis = transposed ? static_cast<int64_t>(dims.size()) - 1 : 0;
  return d;
}

ValueId add_integers(Graph& graph, const Dequantized& weight) {
  const ValueId real = graph.node(weight.node).output(0);
  Node integers = integer_decode_node(graph.node(weight.node), weight.params.scale);
  ValueType type = graph.value(real).type;
  type.elem = DType::kInt8;
  integers.name = graph.unique_name(graph.value(real).name + "_integers");
  const ValueId out = graph.add_value(integers.name, std::move(type));
  integers.outputs = {out};
  graph.add_node(std::move(integers));
  return out;
}

void make_room_for_bias(const Graph& graph, ValueId bias, float x_scale, Dequantized& weight) {
  const Tensor* b = bias == kNone ? nullptr : graph.constant(bias);
  if (weight.quantized != kNone || b == nullptr || b->type() != DType::kFloat32) return;
  constexpr float kMostBias = 1 << 30;
  const auto channels = std::min(weight.params.scale.size(), static_cast<size_t>(b->elements()));
  for (size_t c = 0; c < channels; ++c) {
    const float least = std::abs(b->data<float>()[c]) / (kMostBias * x_scale);
    weight.params.scale[c] = std::max(weight.params.scale[c], least);
  }
}

}  // namespace fewbit
