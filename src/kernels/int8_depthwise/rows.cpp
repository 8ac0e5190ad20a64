#include "kernels/int8_depthwise/depthwise_core.h"

namespace fewbit::int8 {
namespace {

constexpr const DepthwiseRow* kRows[] = {
    &kDepthwiseScalarRow,
#if defined(__x86_64__)
    &kDepthwiseAvx2Row,
    &kDepthwiseAvxVnniRow,
    &kDepthwiseAvx512Row,
#endif
};

}  // namespace

std::span<const DepthwiseRow* const> all_depthwise_rows() {
  return kRows;
}

Result<const DepthwiseRow*> find_depthwise_row(std::optional<Isa> isa) {
  if (!isa) {
    FEWBIT_ASSIGN(isa, selected_isa());
  } else if (!isa_runs_here(*isa)) {
    return unsupported("instruction set {} is not available on this processor", name_of(*isa));
  }
  // The last row that the processor has: tiles have nothing to offer to a depthwise product.
  const DepthwiseRow* best = nullptr;
  for (const DepthwiseRow* row : kRows) {
    if (row->isa <= *isa) best = row;
  }
  return best;
}

}  // namespace fewbit::int8
