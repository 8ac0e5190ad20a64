#pragma once
// The tables of the lowering files, one per family; lower_table.cpp puts them together.

#include <span>

#include "runtime/lower/lowering.h"

namespace fewbit::lower {

std::span<const LowerRow> alias_rows();  ///< operators that move no bytes
std::span<const LowerRow> binary_rows();
std::span<const LowerRow> few_bit_product_rows();
std::span<const LowerRow> float_conv_rows();
std::span<const LowerRow> float_product_rows();
std::span<const LowerRow> int8_conv_rows();
std::span<const LowerRow> int8_dynamic_rows();
std::span<const LowerRow> int8_product_rows();
std::span<const LowerRow> int8_pointwise_rows();
std::span<const LowerRow> move_rows();
std::span<const LowerRow> pool_rows();
std::span<const LowerRow> quantize_rows();
std::span<const LowerRow> row_rows();
std::span<const LowerRow> unary_rows();

}  // namespace fewbit::lower
