#pragma once
// Addition and multiplication of two 8-bit tensors with their own scales, as ONNX Runtime's
// QLinearAdd and QLinearMul compute them (its AVX2 form), in single precision, operations in the
// order written:
//
//   add   ra = sa / sc, rb = sb / sc, fixed = zc - (ra * za + rb * zb)
//         q = rne(clamp(fma(a, ra, fma(b, rb, fixed)), lo, hi))
//   mul   r = sa * sb / sc
//         q = rne(clamp(float((a - za) * (b - zb)) * r + zc, lo, hi))
//
// All three tensors have one type, kUint8 or kInt8; [lo, hi] is its range, or the narrower one that
// a fused ReLU or Clip leaves (`lo`, `hi` of QClamp). Scales are positive and finite.
// dst may be a or b itself if that operand is not broadcast.

#include <cstdint>

#include "base/dtype.h"
#include "kernels/pointwise/broadcast/broadcast.h"

namespace fewbit::pointwise {

/// How codes stand for numbers: (code - zero) * scale.
struct QAffine {
  float scale = 1;
  int32_t zero = 0;
};

/// Codes that the result is clamped to.
struct QClamp {
  int32_t lo, hi;
};

/// The whole range of kUint8 or kInt8.
QClamp full_range(DType type);

void qadd(DType type, const BroadcastLoops& loops, const void* a, QAffine qa, const void* b,
          QAffine qb, void* dst, QAffine qd, QClamp clamp);

void qmul(DType type, const BroadcastLoops& loops, const void* a, QAffine qa, const void* b,
          QAffine qb, void* dst, QAffine qd, QClamp clamp);

}  // namespace fewbit::pointwise
