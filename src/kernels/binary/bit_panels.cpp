#include "kernels/binary/bit_panels.h"

namespace fewbit::binary {
namespace {

constexpr const Row* kRows[] = {
    &kScalarRow,
#if defined(__x86_64__)
    &kAvx2Row,
    &kAvx512Row,
#endif
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
  const Row* found = &kScalarRow;
  for (const Row* row : kRows) {
    if (row->isa <= *isa && row->runs_here()) found = row;
  }
  return found;
}

void BitPanels::assign(int64_t row_count, int64_t word_count) {
  rows = row_count;
  words = word_count;
  data.assign(static_cast<size_t>((rows + kLanes - 1) / kLanes * kLanes * words), 0);
}

}  // namespace fewbit::binary
