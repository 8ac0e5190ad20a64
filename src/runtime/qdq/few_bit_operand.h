#pragma once
// Weights in few bits as operands of integer operators.

#include "runtime/qdq/qdq.h"

namespace fewbit {

/// The value is given by a Decode node whose weights are integers under one scale per output
/// (runtime/integer_weight.h). `node` is that node and `quantized` kNone: add_integers makes it.
std::optional<Dequantized> few_bit_operand(const Graph& graph, ValueId value);

/// Adds the DecodeIntegers node of such an operand, under its scales; returns the integers.
ValueId add_integers(Graph& graph, const Dequantized& weight);

/// Where the weights of a channel in few bits are so small that its float bias in their scale would
/// leave int32, the scale grows: its integers are rounded by 2^-31 of the bias. Other operands stay
/// as they are.
void make_room_for_bias(const Graph& graph, ValueId bias, float x_scale, Dequantized& weight);

}  // namespace fewbit
