#pragma once
// The plain convolution loops, shared by the float and the integer operators.

#include "runtime/ops/window.h"

namespace fewbit::ops {

/// x [batch, channels, in], w [filters, channels / groups, kernel], bias [filters] or nullptr,
/// y [batch, filters, out], all row-major. T is float, double, or uint32_t for sums modulo 2^32.
/// Transposed: w [channels, filters / groups, kernel].
struct ConvProblem {
  Window window;
  int64_t batch, channels, filters, groups;
};

template <typename T>
void convolve(const ConvProblem& p, const T* x, const T* w, const T* bias, T* y);
template <typename T>
void convolve_transposed(const ConvProblem& p, const T* x, const T* w, const T* bias, T* y);

/// Checks X [N, C, ...] (input x) against W [M, C / group, ...] (input w) and reads the window.
Result<ConvProblem> read_conv(const OpContext& ctx, size_t x, size_t w);

}  // namespace fewbit::ops
