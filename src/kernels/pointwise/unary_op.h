#pragma once
// The elementwise functions of one value, named once: the pointwise kernels evaluate them over
// spans, the oneDNN wrapper and the int8 kernels fuse those they can behind a product, and 8-bit
// tables are built from them.

#include <cstdint>
#include <string_view>

namespace fewbit {

enum class UnaryOp : uint8_t {
  kIdentity,
  kRelu,             ///< max(x, 0)
  kClip,             ///< min(max(x, alpha), beta)
  kLeakyRelu,        ///< x >= 0 ? x : alpha x
  kElu,              ///< x >= 0 ? x : alpha (e^x - 1)
  kSelu,             ///< beta * (x > 0 ? x : alpha (e^x - 1))
  kCelu,             ///< x >= 0 ? x : alpha (e^(x / alpha) - 1)
  kThresholdedRelu,  ///< x > alpha ? x : 0
  kSigmoid,          ///< 1 / (1 + e^-x)
  kHardSigmoid,      ///< min(max(alpha x + beta, 0), 1)
  kHardSwish,        ///< x * min(max(x / 6 + 1/2, 0), 1)
  kSilu,             ///< x * sigmoid(alpha x); ONNX Swish; alpha = 1 is SiLU
  kMish,             ///< x * tanh(softplus(x))
  kGeluErf,          ///< x / 2 * (1 + erf(x / sqrt 2))
  kGeluTanh,         ///< x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  kSoftplus,         ///< log(1 + e^x)
  kSoftsign,         ///< x / (1 + |x|)
  kTanh,
  kErf,
  kExp,
  kLog,
  kSqrt,
  kReciprocal,
  kAbs,
  kNeg,
  kSquare,
  kFloor,
  kCeil,
  kRound,  ///< half to even
  kSign,   ///< -1, 0, 1; NaN stays NaN
};
inline constexpr int kUnaryOpCount = 30;

/// A function with its parameters; what alpha and beta mean stands beside each op above.
struct Unary {
  UnaryOp op = UnaryOp::kIdentity;
  float alpha = 0.0f;
  float beta = 0.0f;
  bool operator==(const Unary&) const = default;
};

}  // namespace fewbit
