#include "kernels/int8_gemm/rows.h"

namespace fewbit::int8 {
namespace {

constexpr const Row* kRows[] = {
    &kScalarRow,
#if defined(__x86_64__)
    &kAvx2Row,        &kAvxVnniRow, &kAvx512VnniRow, &kAmxRow,
#endif
    &kAmxEmulatedRow,
};

}  // namespace

std::span<const Row* const> all_rows() {
  return kRows;
}

Result<const Row*> find_row(std::optional<Isa> isa) {
  if (!isa) {
    FEWBIT_ASSIGN(isa, selected_isa());
  } else if (!isa_runs_here(*isa)) {
    return unsupported("instruction set {} is not available on this processor", name_of(*isa));
  }
  for (const Row* row : kRows) {
    if (row->isa == *isa && !row->emulated) return row;
  }
  return unsupported("8-bit products have no kernel for {}", name_of(*isa));
}

}  // namespace fewbit::int8
