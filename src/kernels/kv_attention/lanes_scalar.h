#pragma once
// The policy of the row kernels in plain C++, one lane; what the others compute. Over V of
// kernels/pointwise/vec, a policy adds: products of bytes, exponentials, and how many vectors of
// sums the registers hold.

#include "kernels/pointwise/vec/vec_scalar.h"
#define FEWBIT_VARIANT scalar
#include "kernels/pointwise/vec/math.h"
#undef FEWBIT_VARIANT

namespace fewbit::kv {
namespace {

struct LanesScalar {
  using V = pointwise::scalar::V;
  static constexpr int kSums = 32;
  static constexpr int kTileRows = 4;
  static constexpr int kTileColumns = 16;

  /// sum += four unsigned bytes of `Bits` bits times four signed ones.
  template <int Bits>
  static void dot(V::I& sum, V::I codes, V::I x) {
    for (int i = 0; i < 4; ++i) {
      const auto code = static_cast<uint8_t>(static_cast<uint32_t>(codes) >> (8 * i));
      sum += code * static_cast<int8_t>(static_cast<uint32_t>(x) >> (8 * i));
    }
  }
  /// e^x for x <= 0.
  static V::F exp(V::F x) { return pointwise::scalar::exp_nonpositive(x); }
  static V::F tanh(V::F x) { return pointwise::scalar::tanh(x); }
  static float exp_one(float x) { return pointwise::scalar::exp_nonpositive(x); }
  static void prefetch(const uint8_t*) {}
};

}  // namespace
}  // namespace fewbit::kv
