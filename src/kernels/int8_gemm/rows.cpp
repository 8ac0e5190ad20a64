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
  const Row* best = nullptr;
  for (const Row* row : kRows) {
    if (row->isa <= *isa && !row->emulated) best = row;
  }
  return best;
}

Result<const Row*> find_row(std::optional<Isa> isa, int64_t runs, int64_t run) {
  FEWBIT_ASSIGN(const Row* row, find_row(isa));
  if (isa || isa_is_forced() || row->isa != Isa::kAmx) return row;
  // Nanoseconds per tile of 32 x 32, measured on a Sapphire Rapids (README.md): what AVX512-VNNI
  // takes per k, what AMX takes to bring its sums to memory and back, and per 64 k.
  constexpr double kVnniPerK = 3.4, kAmxStore = 60, kAmxPerStep = 25;
  const int64_t vnni_k = runs * ((run + 3) / 4 * 4), amx_steps = runs * ((run + 63) / 64);
  const double vnni = kVnniPerK * static_cast<double>(vnni_k);
  const double amx = kAmxStore + kAmxPerStep * static_cast<double>(amx_steps);
  return vnni <= amx ? find_row(Isa::kAvx512Vnni) : row;
}

}  // namespace fewbit::int8
