// The row of plain C++, for any processor.

#include "kernels/pattern_codes/pattern_core.h"
#include "kernels/pattern_codes/vec_scalar.h"
// The policy first: the kernel header uses it.
#include "kernels/pattern_codes/panel_kernel.h"

namespace fewbit::pattern_codes {

const Row kScalarRow = {Isa::kScalar, "scalar", run_panels<VecScalar>, nullptr, nullptr};

}  // namespace fewbit::pattern_codes
