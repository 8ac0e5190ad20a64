#pragma once
// Layers that compute in bfloat16 where their weights are stored in it.

#include <utility>

#include "runtime/lower/lowering.h"

namespace fewbit::lower {

/// The primitive that `create()` makes of `spec` (its members type and dst_type are set here): in
/// bfloat16 if `node` may compute in it and oneDNN has more for it than a plain loop, which is
/// slower than float32; otherwise in float32. `result`: the value that the primitive gives.
template <typename Spec, typename Create>
auto create_in_best_type(const Lowering& lowering, const Node& node, ValueId result, Spec& spec,
                         Create&& create) -> decltype(create()) {
  if (lowering.computes_in_bfloat16(node)) {
    spec.type = DType::kBfloat16;
    spec.dst_type = lowering.wanted_as_bfloat16(result) ? DType::kBfloat16 : DType::kFloat32;
    auto primitive = create();
    if (primitive.ok() && primitive->implementation().rfind("ref", 0) != 0) return primitive;
  }
  spec.type = DType::kFloat32;
  spec.dst_type.reset();
  return create();
}

}  // namespace fewbit::lower
