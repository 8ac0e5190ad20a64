#pragma once
// Index tensors, read and checked once, for gathering and scattering.

#include "runtime/ops/op_support.h"

namespace fewbit::ops {

/// The elements, each in [-extent, extent), as numbers in [0, extent); otherwise an error.
Result<std::vector<int64_t>> read_indices(const Node& node, const Tensor& indices, int64_t extent);

/// Rows of indices (the last dimension) into dims[first_dim ...]: one element offset per row, from
/// the start of dims[first_dim ...]. Each index is checked against its dimension.
Result<std::vector<int64_t>> read_places(const Node& node, const Tensor& indices, const Dims& dims,
                                         int64_t first_dim);

/// For the *Elements operators: the index tensor has the data's rank and, but for `axis`, stays
/// within its dimensions.
Status check_covers(const Node& node, const Dims& data, const Dims& indices, int64_t axis);

}  // namespace fewbit::ops
