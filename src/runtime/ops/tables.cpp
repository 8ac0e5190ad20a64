#include "runtime/ops/tables.h"

namespace fewbit::ops {

// One declaration and one entry per operator file.

std::vector<std::span<const OpRow>> all_tables() {
  return {
      elementwise_unary_table(),
      elementwise_binary_table(),
      reduce_table(),
      cumulative_table(),
      search_table(),
      matmul_table(),
      einsum_table(),
      conv_table(),
      conv_integer_table(),
      conv_deform_table(),
      pool_table(),
      unpool_table(),
  };
}

}  // namespace fewbit::ops
