#pragma once
// Walking a part of a tensor in row-major order of some dimensions, each with its own stride.

#include <algorithm>
#include <cstdint>
#include <utility>

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

/// Merges neighbouring dimensions that one stride walks, and drops those of extent 1.
inline void merge_dims(Dims& dims, Dims& strides) {
  size_t n = 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1) continue;
    if (n > 0 && strides[n - 1] == strides[i] * dims[i]) {
      dims[n - 1] *= dims[i];
      strides[n - 1] = strides[i];
    } else {
      dims[n] = dims[i];
      strides[n] = strides[i];
      ++n;
    }
  }
  dims.resize(n);
  strides.resize(n);
}

/// Splits off the innermost dimension: its extent and stride (1 and 1 if there is none).
inline std::pair<int64_t, int64_t> take_inner(Dims& dims, Dims& strides) {
  if (dims.empty()) return {1, 1};
  const std::pair<int64_t, int64_t> inner = {dims.back(), strides.back()};
  dims.pop_back();
  strides.pop_back();
  return inner;
}

/// to[0], to[1], ... = from[offset] for the offsets of walk(dims, strides).
template <typename T>
void read_strided(const T* from, Dims dims, Dims strides, T* to) {
  merge_dims(dims, strides);
  const auto [n, step] = take_inner(dims, strides);
  walk(dims, strides, [&, run = n, by = step](int64_t offset) {
    if (by == 1) {
      std::copy_n(from + offset, run, to);
    } else if (by == 0 && run > 0) {
      std::fill_n(to, run, from[offset]);
    } else {
      for (int64_t i = 0; i < run; ++i) to[i] = from[offset + i * by];
    }
    to += run;
  });
}

}  // namespace fewbit::ops
