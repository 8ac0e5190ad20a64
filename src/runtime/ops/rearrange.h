#pragma once

#include "runtime/op.h"

namespace fewbit::ops {

/// Output 0 = the parts joined along `axis` (may be negative). They must agree in type and in all
/// other dimensions; the error names the node.
Status concat_into(OpContext& ctx, const std::vector<Tensor>& parts, int64_t axis);

}  // namespace fewbit::ops
