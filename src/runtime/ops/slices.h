#pragma once
// Tensors taken apart and put together along one axis, element by element of that axis: what Loop,
// Scan and friends do with scanned values. Any element type.

#include <vector>

#include "runtime/ops/dispatch.h"

namespace fewbit::ops {

/// The part at `index` of `axis`, without that axis.
Result<Tensor> slice_at(const Node& node, const Tensor& tensor, int64_t axis, int64_t index);

/// The inverse: parts of one type and shape side by side along a new `axis` (not normalised, in
/// [0, rank]). At least one part.
Result<Tensor> stack(const Node& node, const std::vector<Tensor>& parts, int64_t axis);

}  // namespace fewbit::ops
