// The row of plain C++, for any processor.

#include "kernels/few_bit/few_bit_core.h"
#include "kernels/few_bit/vec_scalar.h"
// The policy first: the kernel header uses it.
#include "kernels/few_bit/panel_kernel.h"

namespace fewbit::few_bit {

const Row kScalarRow = {Isa::kScalar, "scalar", run_panels<VecScalar>};

}  // namespace fewbit::few_bit
