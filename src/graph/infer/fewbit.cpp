// Operators of the domain ai.fewbit: what ONNX lacks.

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"

namespace fewbit::infer {
namespace {

// codes, table [256] of uint8; attribute `to`: the element type of the result (8 bits).
Status qtable(InferContext& c) {
  FEWBIT_ASSIGN(int64_t to, c.required_int("to"));
  std::optional<Shape> out;
  if (const Shape* s = c.shape(0); s != nullptr) out = *s;
  c.set(0, static_cast<DType>(to), std::move(out));
  return {};
}

constexpr SchemaRow kRows[] = {{"ai.fewbit", "QTable", 1, 2, 2, 1, 1, qtable}};

}  // namespace

std::span<const SchemaRow> fewbit_rows() { return kRows; }

}  // namespace fewbit::infer
