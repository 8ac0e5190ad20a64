#pragma once
// Conversion of whole tensors between element types, as ONNX's Cast operator defines it.
//
//   float -> float      nearest, ties to even, in one rounding; float8: float8.h; past the range:
//                       infinity, or the largest value where the type has no infinity
//   float -> integer    toward zero. What the target cannot hold is undefined in ONNX; here as
//                       on x86, and so as in NumPy and ONNX Runtime there: through int32 (targets
//                       to int32) or int64, with the lowest number for what does not fit, NaN
//                       included; narrower targets keep the low bits
//   integer -> integer  the low bits, as two's complement
//   integer -> float    nearest, ties to even
//   any -> bool         not zero (NaN is true); bool -> any: 0 or 1
//   number -> string    the shortest decimal that reads back as the same value; "NaN", "INF",
//   "-INF" string -> number    decimal or scientific, surrounding white space allowed; NaN, INF,
//   +INF, -INF
//                       in any case; to an integer: a decimal fraction is cut off

#include "base/result.h"
#include "base/tensor.h"
#include "numerics/float8.h"

namespace fewbit {

struct CastOptions {
  bool saturate = true;                               ///< Float8 targets only.
  PowerRounding power_rounding = PowerRounding::kUp;  ///< float8e8m0 only.
};

/// True for every element type that cast reads and writes: all but complex and undefined.
bool can_cast(DType type);

/// `in` as elements of type `to`, same shape, in new memory; if `in` is of that type already, `in`
/// itself (shared bytes). Uses all threads on large tensors. Errors: complex types (kUnsupported);
/// a string that is no number (kBadInput, with its index).
Result<Tensor> cast(const Tensor& in, DType to, const CastOptions& options = {});

/// The same into `out`, which has the type wanted and as many elements as `in`, and does not
/// overlap it.
Status cast_into(const Tensor& in, Tensor& out, const CastOptions& options = {});

}  // namespace fewbit
