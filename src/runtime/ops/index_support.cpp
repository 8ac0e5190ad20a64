#include "runtime/ops/index_support.h"

namespace fewbit::ops {

Result<std::vector<int64_t>> read_indices(const Node& node, const Tensor& indices, int64_t extent) {
  FEWBIT_ASSIGN(std::vector<int64_t> out, read_ints(node, indices, "indices"));
  for (int64_t& i : out) {
    if (i < -extent || i >= extent) {
      return node_error(node, "index {} is out of range for an axis of {}", i, extent);
    }
    if (i < 0) i += extent;
  }
  return out;
}

Result<std::vector<int64_t>> read_places(const Node& node, const Tensor& indices, const Dims& dims,
                                         int64_t first_dim) {
  FEWBIT_ASSIGN(std::vector<int64_t> flat, read_ints(node, indices, "indices"));
  const auto depth = static_cast<size_t>(indices.dims().back());
  const auto first = static_cast<size_t>(first_dim);
  const Dims strides = strides_of(dims);
  const auto rows = static_cast<size_t>(product(indices.dims(), 0, indices.rank() - 1));
  std::vector<int64_t> places(rows, 0);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t d = 0; d < depth; ++d) {
      const int64_t extent = dims[first + d];
      int64_t i = flat[row * depth + d];
      if (i < -extent || i >= extent) {
        return node_error(node, "index {} is out of range for dimension {} of {}", i, first + d,
                          to_string(dims));
      }
      if (i < 0) i += extent;
      places[row] += i * strides[first + d];
    }
  }
  return places;
}

Status check_covers(const Node& node, const Dims& data, const Dims& indices, int64_t axis) {
  bool fits = data.size() == indices.size();
  for (size_t i = 0; fits && i < data.size(); ++i) {
    fits = indices[i] <= data[i] || static_cast<int64_t>(i) == axis;
  }
  if (fits) return {};
  return node_error(node, "indices of shape {} do not fit data of shape {} along axis {}",
                    to_string(indices), to_string(data), axis);
}

}  // namespace fewbit::ops
