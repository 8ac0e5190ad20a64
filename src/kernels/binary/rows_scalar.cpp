// Plain C++: any processor.

#include <bit>

#include "kernels/binary/tile_kernel.h"

namespace fewbit::binary {
namespace {

struct VecScalar {
  struct Word {
    const uint64_t* lanes;
  };
  struct Sum {
    int32_t count[kLanes];
  };
  static Sum zero() { return {}; }
  static Word load(const uint64_t* w) { return {w}; }
  template <Op kOp>
  static void add(Sum& sum, Word w, const uint64_t* a) {
    for (int i = 0; i < kLanes; ++i) {
      sum.count[i] += std::popcount(kOp == Op::kXor ? w.lanes[i] ^ *a : w.lanes[i] & *a);
    }
  }
  static void store(int32_t* to, const Sum& sum) {
    for (int i = 0; i < kLanes; ++i) to[i] = sum.count[i];
  }
};

}  // namespace

const Row kScalarRow = {Isa::kScalar, "scalar", [] { return true; }, any_tile<VecScalar, Op::kXor>,
                        any_tile<VecScalar, Op::kAnd>};

}  // namespace fewbit::binary
