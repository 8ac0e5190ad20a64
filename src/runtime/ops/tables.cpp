#include "runtime/ops/tables.h"

namespace fewbit::ops {

// One declaration and one entry per operator file.

std::vector<std::span<const OpRow>> all_tables() {
  return {
      elementwise_unary_table(),
      elementwise_binary_table(),
  };
}

}  // namespace fewbit::ops
