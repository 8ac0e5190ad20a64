// Operators of the domain ai.fewbit: what ONNX lacks.

#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

// QTable(x, table): y = table[byte of x], as the type `to`. Any function of one 8-bit code.
Status qtable(OpContext& context) {
  const Tensor& x = context.in(0);
  const Tensor& table = context.in(1);
  auto to = static_cast<DType>(context.node().get_int("to", 0));
  if (bits_of(x.type()) != 8 || bits_of(to) != 8 || table.type() != DType::kUint8 ||
      table.elements() != 256) {
    return bad_input("{}: expected 8-bit codes and a uint8 table of 256, found {} and {}{}",
                     context.node().label(), name_of(x.type()), name_of(table.type()),
                     to_string(table.dims()));
  }
  Tensor& y = context.out(0, to, x.dims());
  const auto* from = x.data<uint8_t>();
  for (int64_t i = 0; i < x.elements(); ++i) y.data<uint8_t>()[i] = table.data<uint8_t>()[from[i]];
  return {};
}

constexpr OpRow kRows[] = {{"ai.fewbit", "QTable", 1, qtable}};

}  // namespace

std::span<const OpRow> fewbit_table() { return kRows; }

}  // namespace fewbit::ops
