#pragma once
// The elementwise function that a node computes, as kernels/pointwise names it.

#include "kernels/pointwise/unary_op.h"
#include "runtime/lower/lowering.h"

namespace fewbit::lower {

/// nullopt if the node is no such function of its first input, or a parameter is no constant.
std::optional<Unary> unary_of(const Graph& graph, const Node& node);

/// The value that holds unary(value), if its only reader computes one that `accepts` takes; the
/// reader is covered. Knows x * Sigmoid(x) too, where `value` has exactly those two readers.
struct FusedUnary {
  Unary unary;
  ValueId result = kNone;
};
std::optional<FusedUnary> absorb_unary(Lowering& lowering, ValueId value,
                                       bool (*accepts)(const Unary&));

}  // namespace fewbit::lower
