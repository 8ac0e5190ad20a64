#pragma once
// Session: a model made ready to run.
//
//   FEWBIT_ASSIGN(Session session, Session::create(std::move(model), {}));
//   FEWBIT_ASSIGN(auto outputs, session.run({{"x", tensor}}));
//
// For each new set of input shapes a plan is made (shapes inferred, constants folded, patterns
// fused, layouts and memory assigned) and kept. A hook shows any value by name, as a plain float or
// integer tensor, while the model runs: calibration, comparison and the debugger are hooks.
// A Session is not thread-safe; use one per thread.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "runtime/plan.h"

namespace fewbit {

struct SessionOptions {
  /// Worker threads; 0 = all processors.
  int threads = 0;
  /// false: every node runs its plain operator, nothing is fused. What the fast forms are tested
  /// against.
  bool optimize = true;
  /// Plans kept for different input shapes; the oldest goes first.
  int max_plans = 4;
  /// Conv, ConvTranspose, Gemm and MatMul whose weights are stored in bfloat16 compute in it, with
  /// sums in float32, where the processor has instructions for that. false: in float32 everywhere.
  bool bfloat16 = true;
  /// Seed of random operators that have none.
  uint64_t seed = 0;
};

/// True if this processor has AVX512-BF16 or AMX-BF16, and FEWBIT_ISA does not name a lesser set
/// than avx512_vnni.
bool bfloat16_is_fast();

struct StepProfile {
  std::string label, op, kernel;
  int64_t macs = 0;
  int64_t weight_bytes = 0;
  int64_t calls = 0;
  double seconds = 0;  ///< total over the calls
};

/// Called with the value's name and contents; the tensor is valid during the call only.
using ValueHook = std::function<void(const std::string& name, const Tensor& value)>;
using Feeds = std::vector<std::pair<std::string, RuntimeValue>>;

class Session {
 public:
  /// Checks the model and that every operator (sub-graphs included) has a row; the error lists all
  /// that have none.
  static Result<Session> create(Model model, SessionOptions options);
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  /// Graph inputs without a default, and outputs, in order, with their declared types.
  std::vector<std::pair<std::string, ValueType>> inputs() const;
  std::vector<std::pair<std::string, ValueType>> outputs() const;

  /// Runs the model. Errors name the input (missing, unknown, wrong type or shape) or the node.
  /// Outputs in the order of the graph's outputs.
  Result<std::vector<RuntimeValue>> run(const Feeds& feeds);

  /// Shows these values at each run. Watched values are not fused away: watching changes which
  /// kernels run. An unknown name is an error. An empty list stops.
  Status watch(const std::vector<std::string>& names, ValueHook hook);

  /// Times every step from now on (or stops).
  void set_profiling(bool on);
  /// Of the plan used last, in step order.
  std::vector<StepProfile> profile() const;

  /// Of the plan used last: bytes of planned activations, and of constants.
  int64_t arena_bytes() const;
  int64_t constant_bytes() const;
  /// The graph as the last plan executes it, printed (after fusion).
  std::string executed_graph() const;

  const Model& model() const;

 private:
  struct State;
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Operators of the graph (sub-graphs included) that no row covers: "domain.Op (opset N)", each
/// once.
std::vector<std::string> unsupported_operators(const Graph& graph);

}  // namespace fewbit
