#pragma once
// The rows of the table, one per ISA file (internal; rows.cpp makes the table).

#include "kernels/int8_gemm/int8_core.h"

namespace fewbit::int8 {

extern const Row kScalarRow;
extern const Row kAmxEmulatedRow;
#if defined(__x86_64__)
extern const Row kAvx2Row;
extern const Row kAvxVnniRow;
extern const Row kAvx512VnniRow;
extern const Row kAmxRow;
#endif

}  // namespace fewbit::int8
