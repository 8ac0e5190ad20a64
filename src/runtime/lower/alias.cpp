// Operators whose output is the input's bytes: they cost nothing.

#include "runtime/lower/tables.h"

namespace fewbit::lower {
namespace {

Result<bool> alias_first_input(Lowering& lowering, const Node& node) {
  ValueId in = node.input(0);
  ValueId out = node.output(0);
  if (in == kNone || out == kNone || lowering.graph().is_output(out)) return false;
  if (lowering.type(in) != lowering.type(out) || lowering.type(in) == DType::kString) return false;
  for (size_t i = 1; i < node.outputs.size(); ++i) {
    if (node.outputs[i] != kNone) return false;
  }
  lowering.alias(out, lowering.use(in, Layout::kPlain));
  return true;
}

constexpr LowerRow kRows[] = {
    {"", "Reshape", alias_first_input},  {"", "Flatten", alias_first_input},
    {"", "Squeeze", alias_first_input},  {"", "Unsqueeze", alias_first_input},
    {"", "Identity", alias_first_input},
};

}  // namespace

std::span<const LowerRow> alias_rows() {
  return kRows;
}

}  // namespace fewbit::lower
