#include "runtime/lower/integer_layers.h"

#include "runtime/integer_weight.h"
#include "runtime/lower/window.h"

namespace fewbit::lower {

bool takes_integers(const Lowering& lowering, const Node& node) {
  const bool to_float = node.is("MatMulIntegerToFloat", "com.microsoft");
  const bool conv = node.is("QLinearConv");
  if (!conv && !to_float && !node.is("QLinearMatMul") && !node.is("QGemm", "com.microsoft")) {
    return false;
  }
  const Dims& x = lowering.dims(node.input(0));
  const Dims& w = lowering.dims(node.input(to_float ? 1 : 3));
  const Dims& y = lowering.dims(node.output(0));
  if (elements_of(x) == 0 || elements_of(y) == 0) return false;
  if (!conv) return x.size() >= 2 && w.size() == 2;
  if (x.size() != 3 && x.size() != 4) return false;
  return window_of(node, std::span(w).subspan(2), std::span(x).subspan(2), std::span(y).subspan(2))
      .has_value();
}

Result<std::optional<IntegerWeight>> integer_weight(const Lowering& lowering, ValueId value) {
  if (const Tensor* constant = lowering.graph().constant(value); constant != nullptr) {
    return std::optional(IntegerWeight{*constant, false});
  }
  FEWBIT_ASSIGN(std::optional<Tensor> integers, integers_of(lowering.graph(), value));
  if (!integers) return std::optional<IntegerWeight>();
  return std::optional(IntegerWeight{std::move(*integers), true});
}

}  // namespace fewbit::lower
