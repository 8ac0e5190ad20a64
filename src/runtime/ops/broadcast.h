#pragma once
// Multidirectional (NumPy) broadcasting: one plan per call, loops over contiguous runs.
//
// The plan merges neighbouring dimensions that every operand walks in the same way, so that equal
// shapes and scalars become one run and a bias becomes rows. Inside a run each operand advances by
// 1 or stays put.

#include <array>
#include <cstddef>
#include <cstdint>

#include "runtime/ops/op_support.h"

namespace fewbit::ops {

inline constexpr size_t kMaxBroadcastOperands = 3;

struct BroadcastPlan {
  Dims dims;        ///< of the output
  int64_t run = 1;  ///< elements per run
  Dims outer;       ///< extents of the loops over runs, outermost first
  size_t operand_count = 0;
  std::array<Dims, kMaxBroadcastOperands> outer_strides;       ///< per operand, in elements
  std::array<int64_t, kMaxBroadcastOperands> run_stride = {};  ///< 0 or 1
};

/// The shape that all of `shapes` broadcast to, or an error that names the node and the shapes.
Result<Dims> broadcast_dims(const Node& node, const std::vector<Dims>& shapes);

/// A plan for at most three operands.
Result<BroadcastPlan> plan_broadcast(const Node& node, const std::vector<Dims>& shapes);

/// Calls f(output_offset, offsets, run) for every run, in output order.
template <typename F>
void for_each_run(const BroadcastPlan& plan, F&& f) {
  for (int64_t d : plan.dims) {
    if (d == 0) return;
  }
  std::array<int64_t, kMaxBroadcastOperands> offsets = {};
  Dims index(plan.outer.size(), 0);
  for (int64_t out = 0;; out += plan.run) {
    f(out, offsets, plan.run);
    size_t axis = plan.outer.size();
    for (;;) {
      if (axis == 0) return;
      --axis;
      for (size_t k = 0; k < plan.operand_count; ++k) offsets[k] += plan.outer_strides[k][axis];
      if (++index[axis] < plan.outer[axis]) break;
      for (size_t k = 0; k < plan.operand_count; ++k) {
        offsets[k] -= plan.outer_strides[k][axis] * plan.outer[axis];
      }
      index[axis] = 0;
    }
  }
}

/// One run: out[i] = op(a[i * a_step], b[i * b_step]); a step is 0 or 1. Each of the shapes of a
/// run gets a loop of its own, which vectorises.
template <typename A, typename B, typename O, typename Op>
void binary_run(const A* a, int64_t a_step, const B* b, int64_t b_step, O* out, int64_t n, Op op) {
  if (a_step == 0) {
    const A va = *a;
    for (int64_t i = 0; i < n; ++i) out[i] = op(va, b[i * b_step]);
  } else if (b_step == 0) {
    const B vb = *b;
    for (int64_t i = 0; i < n; ++i) out[i] = op(a[i], vb);
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = op(a[i], b[i]);
  }
}

/// out[i] = op(a[i], b[i]) with broadcasting.
template <typename A, typename B, typename O, typename Op>
void broadcast_binary(const BroadcastPlan& plan, const A* a, const B* b, O* out, Op op) {
  for_each_run(plan, [&](int64_t at, const auto& offsets, int64_t n) {
    binary_run(a + offsets[0], plan.run_stride[0], b + offsets[1], plan.run_stride[1], out + at, n,
               op);
  });
}

/// binary_run for one operator and one element type, whatever they are: what an operator with many
/// types instantiates, instead of the loops over runs.
using BinaryRun = void (*)(const std::byte* a, int64_t a_step, const std::byte* b, int64_t b_step,
                           std::byte* out, int64_t n);

/// out = run(a, b) with broadcasting; no tensor may hold strings or packed elements.
void broadcast_binary(const BroadcastPlan& plan, const Tensor& a, const Tensor& b, Tensor& out,
                      BinaryRun run);

}  // namespace fewbit::ops
