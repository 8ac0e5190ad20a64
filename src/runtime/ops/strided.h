#pragma once
// Walking a part of a tensor in row-major order of some dimensions, each with its own stride.

#include <cstdint>

#include "base/tensor.h"

namespace fewbit::ops {

/// Calls f(offset) for every index of `dims`, last dimension fastest; offset = sum index * stride.
/// Without dimensions f(0) is called once; with an empty one never.
template <typename F>
void walk(const Dims& dims, const Dims& strides, F&& f) {
  for (int64_t d : dims) {
    if (d == 0) return;
  }
  Dims index(dims.size(), 0);
  int64_t offset = 0;
  for (;;) {
    f(offset);
    size_t axis = dims.size();
    for (;;) {
      if (axis == 0) return;
      --axis;
      offset += strides[axis];
      if (++index[axis] < dims[axis]) break;
      offset -= strides[axis] * dims[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace fewbit::ops
