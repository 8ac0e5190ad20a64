#pragma once
// A step that is one call: for kernels whose preparation is a few numbers.

#include <utility>

#include "runtime/lower/lowering.h"

namespace fewbit::lower {

template <typename Call>
class CallStep final : public Step {
 public:
  CallStep(std::string kernel_name, std::vector<SlotId> in, std::vector<SlotId> out, Call call)
      : call_(std::move(call)) {
    kernel = std::move(kernel_name);
    reads = std::move(in);
    writes = std::move(out);
  }
  Status run(Frame& frame) override { return call_(frame); }

 private:
  Call call_;
};

/// `call(Frame&) -> Status`.
template <typename Call>
std::unique_ptr<Step> call_step(std::string kernel, std::vector<SlotId> in, std::vector<SlotId> out,
                                Call call) {
  return std::make_unique<CallStep<Call>>(std::move(kernel), std::move(in), std::move(out),
                                          std::move(call));
}

/// The layout that elementwise work on this value should keep: the one it has.
inline Layout kept_layout(const Lowering& lowering, ValueId value) {
  return lowering.graph().constant(value) != nullptr ? Layout::kPlain : lowering.layout(value);
}

/// Dimensions as they lie in memory: channels moved last where the layout says so.
inline Dims memory_dims(const Dims& dims, Layout layout) {
  if (layout == Layout::kPlain || dims.size() < 3) return dims;
  Dims out{dims[0]};
  out.insert(out.end(), dims.begin() + 2, dims.end());
  out.push_back(dims[1]);
  return out;
}

}  // namespace fewbit::lower
