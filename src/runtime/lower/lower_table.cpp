#include "runtime/lower/lowering.h"
#include "runtime/lower/tables.h"

namespace fewbit {

std::span<const LowerRow> lower_table() {
  static const std::vector<LowerRow> rows = [] {
    std::vector<LowerRow> all;
    for (std::span<const LowerRow> part :
         {lower::alias_rows(), lower::few_bit_product_rows(), lower::float_conv_rows(),
          lower::float_product_rows(), lower::int8_conv_rows(), lower::int8_dynamic_rows(),
          lower::int8_product_rows(), lower::int8_pointwise_rows(), lower::move_rows(),
          lower::pool_rows(), lower::quantize_rows(), lower::unary_rows(), lower::binary_rows(),
          lower::row_rows()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return rows;
}

}  // namespace fewbit
