#pragma once
// Scales and zero-points of the integer operators (QLinearConv and its kin), which come as inputs.

#include "runtime/lower/lowering.h"
#include "runtime/qdq/qdq.h"

namespace fewbit::lower {

/// Inputs `scale` and `zero` of the node as parameters of a value of type `type`; nullopt if they
/// are no constants or not of that type.
std::optional<QuantParams> operand_params(const Lowering& lowering, const Node& node, size_t scale,
                                          size_t zero, DType type);

/// Follows a chain of Clip nodes on codes behind `value`: cuts `lo` and `hi`, covers the nodes, and
/// returns the value that the fused step produces.
ValueId absorb_clips(Lowering& lowering, ValueId value, int32_t& lo, int32_t& hi);

}  // namespace fewbit::lower
