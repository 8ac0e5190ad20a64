#pragma once
// The running softmax of one row of scores, over a policy L. Included by rows_*.cpp only.

#include "kernels/kv_attention/kv_core.h"
#include "kernels/kv_attention/plane_codec.h"

namespace fewbit::kv {
namespace {

inline constexpr float kMinusInfinity = -__builtin_inff();

/// Takes the scores of `count` positions from `position` on into row r: caps and masks them, and
/// turns them into e^(score - max). Returns e^(old max - new max), which the row's `out` is to be
/// multiplied with before the values are added.
template <class L>
float update_softmax(const Rows& rows, int64_t r, int64_t position, float* scores, int count) {
  using V = typename L::V;
  if (rows.softcap > 0) {
    const auto inverse = V::set(1 / rows.softcap), cap = V::set(rows.softcap);
    for (int i = 0; i < count; i += V::kLanes) {
      V::store(scores + i, V::mul(cap, L::tanh(V::mul(V::load(scores + i), inverse))));
    }
  }
  const int64_t begin = rows.begin[r] - position, end = rows.end[r] - position;
  for (int64_t i = 0; i < begin && i < count; ++i) scores[i] = kMinusInfinity;
  for (int64_t i = end > 0 ? end : 0; i < count; ++i) scores[i] = kMinusInfinity;
  auto largest = V::load(scores);
  for (int i = V::kLanes; i < count; i += V::kLanes) {
    largest = V::max(largest, V::load(scores + i));
  }
  const float before = rows.max[r];
  const float of_these = V::largest(largest);
  const float max = of_these > before ? of_these : before;
  // Nothing seen yet, or nothing but NaN: their exponentials come out right with any finite shift.
  const float shift = max > kMinusInfinity ? max : 0;
  auto sum = V::set(0);
  for (int i = 0; i < count; i += V::kLanes) {
    const auto e = L::exp(V::sub(V::load(scores + i), V::set(shift)));
    V::store(scores + i, e);
    sum = V::add(sum, e);
  }
  const float kept = max > before ? L::exp_one(before - shift) : 1;
  rows.max[r] = max;
  rows.sum[r] = rows.sum[r] * kept + V::sum(sum);
  return kept;
}

}  // namespace
}  // namespace fewbit::kv
