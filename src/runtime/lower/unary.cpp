// Elementwise functions of one float value.

#include "kernels/pointwise/unary/unary.h"
#include "runtime/lower/call_step.h"
#include "runtime/lower/tables.h"
#include "runtime/lower/unary_of.h"

namespace fewbit::lower {
namespace {

Result<bool> lower_unary(Lowering& lowering, const Node& node) {
  ValueId x = node.input(0);
  if (lowering.type(x) != DType::kFloat32) return false;
  std::optional<Unary> unary = unary_of(lowering.graph(), node);
  if (!unary) return false;
  int64_t count = elements_of(lowering.dims(x));
  Layout layout = kept_layout(lowering, x);
  SlotId in = lowering.use(x, layout);
  SlotId out = lowering.define(node.output(0), layout);
  Unary f = *unary;
  lowering.add(call_step("pointwise/unary", {in}, {out},
                         [=](Frame& frame) -> Status {
                           pointwise::unary(f, frame.in<float>(in), frame.out<float>(out), count);
                           return {};
                         }),
               node);
  return true;
}

constexpr LowerRow kRows[] = {
    {"", "Relu", lower_unary},
    {"", "Clip", lower_unary},
    {"", "LeakyRelu", lower_unary},
    {"", "Elu", lower_unary},
    {"", "Selu", lower_unary},
    {"", "Celu", lower_unary},
    {"", "ThresholdedRelu", lower_unary},
    {"", "Sigmoid", lower_unary},
    {"", "HardSigmoid", lower_unary},
    {"", "HardSwish", lower_unary},
    {"", "Swish", lower_unary},
    {"", "Mish", lower_unary},
    {"", "Softplus", lower_unary},
    {"", "Softsign", lower_unary},
    {"", "Tanh", lower_unary},
    {"", "Erf", lower_unary},
    {"", "Exp", lower_unary},
    {"", "Log", lower_unary},
    {"", "Sqrt", lower_unary},
    {"", "Reciprocal", lower_unary},
    {"", "Abs", lower_unary},
    {"", "Neg", lower_unary},
    {"", "Floor", lower_unary},
    {"", "Ceil", lower_unary},
    {"", "Round", lower_unary},
    {"", "Sign", lower_unary},
    {"", "Gelu", lower_unary},
    {"com.microsoft", "Gelu", lower_unary},
};

}  // namespace

std::span<const LowerRow> unary_rows() {
  return kRows;
}

}  // namespace fewbit::lower
