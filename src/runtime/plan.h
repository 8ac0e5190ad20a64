#pragma once
// A Plan: what to run for one set of input shapes. Steps in order, values in numbered slots, memory
// planned by liveness.
//
// The lowering turns each node of the (rewritten, shape-inferred) graph into steps. A value lives
// in one slot per layout that somebody needs. Slots with static shapes lie in one arena; values
// whose shape depends on data are allocated when they are produced.

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/layout.h"
#include "runtime/op.h"

namespace fewbit {

using SlotId = int32_t;

struct Slot {
  enum class Kind : uint8_t {
    kInput,     ///< the caller's tensor
    kConstant,  ///< known before the run
    kArena,     ///< static shape, planned place
    kDynamic,   ///< allocated by its step at run time (data-dependent shape, sequence, ...)
    kOutput,    ///< static shape, a fresh tensor at each run: it is handed to the caller
    kAlias,     ///< the bytes of another slot under other dimensions
  };
  Kind kind = Kind::kDynamic;
  DType type = DType::kUndefined;
  Dims dims;  ///< logical
  Layout layout = Layout::kPlain;
  std::string name;  ///< of the graph value
  Tensor constant;
  SlotId alias_of = kNone;
  int64_t offset = -1;  ///< in the arena, bytes
  int64_t bytes() const { return bytes_of(type, elements_of(dims)); }
};

/// The values of one run, by slot.
struct Frame {
  std::vector<RuntimeValue> values;
  int threads = 1;
  const std::byte* arena = nullptr;
  int64_t arena_bytes = 0;

  /// The value, copied if it lies in the arena: what outlives its step's inputs must not share
  /// memory that the plan gives to somebody else.
  RuntimeValue detached(RuntimeValue value) const;

  const Tensor& tensor(SlotId slot) const { return values[static_cast<size_t>(slot)].tensor(); }
  template <typename T = void>
  const T* in(SlotId slot) const {
    return reinterpret_cast<const T*>(tensor(slot).raw());
  }
  template <typename T = void>
  T* out(SlotId slot) {
    return reinterpret_cast<T*>(values[static_cast<size_t>(slot)].tensor().raw());
  }
};

/// One kernel call. Everything that does not depend on the data was prepared when it was made.
class Step {
 public:
  virtual ~Step() = default;
  virtual Status run(Frame& frame) = 0;

  std::string label;   ///< of the node(s) it stands for: "Conv node 'conv1'"
  std::string op;      ///< operator type, for the profile
  std::string kernel;  ///< which code runs: "int8_conv/avx512_vnni", "plain", "onednn"
  std::vector<SlotId> reads;
  std::vector<SlotId> writes;
  int64_t macs = 0;          ///< multiply-accumulates of one run
  int64_t weight_bytes = 0;  ///< constants this step streams in
};

struct Watched {
  std::string name;
  SlotId slot;
};

struct Plan {
  std::vector<Slot> slots;
  std::vector<std::unique_ptr<Step>> steps;
  std::vector<SlotId> inputs;  ///< in the order of the graph's inputs
  std::vector<SlotId> outputs;
  /// Values to show to the hook, by the step after which they exist (index into steps; -1: before).
  std::vector<std::vector<Watched>> watched;
  int64_t arena_bytes = 0;
  int64_t constant_bytes = 0;

  /// Slots to release (dynamic ones) after each step.
  std::vector<std::vector<SlotId>> dead_after;
};

/// Gives every arena slot its offset: slots that live at the same time never overlap. First-fit by
/// decreasing size (Pisarchyk and Lee 2020, "greedy by size"). Fills arena_bytes and dead_after.
void plan_memory(Plan& plan);

}  // namespace fewbit
