#pragma once
// The plain matrix product that MatMul, Gemm and Einsum share.

#include <cstdint>

#include "runtime/ops/dispatch.h"

namespace fewbit::ops {

/// c[m, n] = a[m, k] * b[k, n], all row-major and contiguous. T is float, double, uint32_t or
/// uint64_t; integers wrap. k may be 0 (c becomes 0).
template <typename T>
void matrix_product(int64_t m, int64_t n, int64_t k, const T* a, const T* b, T* c);

/// The element types of MatMul and its kin.
using MatrixTypes = Types<float, double, int32_t, int64_t, uint32_t, uint64_t>;

/// Signed integers are computed as unsigned ones: the low bits are the same and wrapping is
/// defined.
template <typename T>
struct ProductType {
  using type = std::conditional_t<std::is_floating_point_v<T>, T,
                                  std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>;
};

}  // namespace fewbit::ops
