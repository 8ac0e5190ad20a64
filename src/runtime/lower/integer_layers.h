#pragma once
// Layers whose constant weights may lie in few bits (runtime/integer_weight.h).

#include "runtime/lower/lowering.h"

namespace fewbit::lower {

/// The node is an integer convolution or product that is lowered to a kernel, given that its
/// parameters are constants: then it reads the integers of a DecodeIntegers node by itself.
bool takes_integers(const Lowering& lowering, const Node& node);

/// A constant weight as 8-bit integers, and whether they come from few bits; nothing if the value
/// is no constant.
struct IntegerWeight {
  Tensor values;
  bool few_bits = false;
};
Result<std::optional<IntegerWeight>> integer_weight(const Lowering& lowering, ValueId value);

}  // namespace fewbit::lower
