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
  // Tiles have nothing to offer to a depthwise product: AMX machines use their VNNI.
  const Isa wanted = *isa == Isa::kAmx ? Isa::kAvx512Vnni : *isa;
  for (const DepthwiseRow* row : kRows) {
    if (row->isa == wanted) return row;
  }
  return unsupported("depthwise 8-bit convolution has no kernel for {}", name_of(*isa));
}

}  // namespace fewbit::int8
