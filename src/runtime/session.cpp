#include "runtime/session.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <list>
#include <set>

#include "base/text.h"
#include "graph/infer.h"
#include "graph/print.h"
#include "graph/verify.h"
#include "kernels/dnnl/dnnl.h"
#include "kernels/isa.h"
#include "runtime/lower/lowering.h"
#include "runtime/rewrite/rewrite.h"

namespace fewbit {
namespace {

using Clock = std::chrono::steady_clock;

struct Prepared {
  std::vector<Dims> input_dims;
  Plan plan;
  Graph graph;
  Frame frame;
  Tensor arena;
  std::vector<double> seconds;  // per step, while profiling
  int64_t calls = 0;
};

void collect_unsupported(const Graph& graph, std::set<std::string>& found) {
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (find_op(node) == nullptr) {
      found.insert(fmt::format("{}{} (opset {})", node.domain.empty() ? "" : node.domain + ".",
                               node.op_type, node.opset));
    }
    for (const auto& [key, attribute] : node.attributes) {
      if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
        collect_unsupported(**sub, found);
      }
    }
  }
}

}  // namespace

RuntimeValue Frame::detached(RuntimeValue value) const {
  if (value.is_sequence()) {
    std::vector<RuntimeValue> items;
    for (const RuntimeValue& item : value.items()) items.push_back(detached(item));
    return RuntimeValue::sequence(std::move(items));
  }
  if (value.is_tensor() && value.tensor().raw() >= arena &&
      value.tensor().raw() < arena + arena_bytes) {
    return value.tensor().clone();
  }
  return value;
}

std::vector<std::string> unsupported_operators(const Graph& graph) {
  std::set<std::string> found;
  collect_unsupported(graph, found);
  return {found.begin(), found.end()};
}

struct Session::State {
  Model model;
  SessionOptions options;
  int threads = 1;
  std::vector<ValueId> feeds;  ///< graph inputs, by position in graph.inputs
  std::optional<Graph> base;   ///< rewritten for the values watched now
  std::vector<std::string> watched;
  ValueHook hook;
  bool profiling = false;
  std::list<Prepared> plans;  ///< most recently used first

  Result<Graph> rewritten() const;
  Result<Graph> specialised(const std::vector<Dims>& dims) const;
  Result<Prepared*> plan_for(const std::vector<Dims>& dims);
  Result<std::vector<RuntimeValue>> bind(const Feeds& feeds) const;
  Status check_input(size_t index, const RuntimeValue& value) const;
  void show(const Prepared& prepared, size_t after_step) const;
};

Result<Graph> Session::State::rewritten() const {
  Graph graph = model.graph;
  if (!options.optimize) return graph;
  RewriteContext context{{watched.begin(), watched.end()}, options.seed};
  FEWBIT_TRY(apply_runtime_rewrites(graph, context));
  // Weights that no integer operator took over are floats from here on.
  FEWBIT_TRY(fold_constants(graph, context, /*keep_dequantize=*/false));
  FEWBIT_TRY(graph.sort());
  return graph;
}

Result<Graph> Session::State::specialised(const std::vector<Dims>& dims) const {
  Graph graph = *base;
  std::vector<std::pair<std::string, Dims>> shapes;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    const Value& v = graph.value(graph.inputs[i]);
    if (v.type.kind == ValueType::Kind::kTensor) shapes.emplace_back(v.name, dims[i]);
  }
  FEWBIT_TRY(bind_input_shapes(graph, shapes));
  RewriteContext context{{watched.begin(), watched.end()}, options.seed};
  if (options.optimize) {
    FEWBIT_TRY(fold_constants(graph, context, /*keep_dequantize=*/false));
    FEWBIT_TRY(remove_dead_nodes(graph, context));
    FEWBIT_TRY(graph.sort());
  } else {
    FEWBIT_TRY(infer_graph(graph));
  }
  return graph;
}

Result<Prepared*> Session::State::plan_for(const std::vector<Dims>& dims) {
  for (auto it = plans.begin(); it != plans.end(); ++it) {
    if (it->input_dims != dims) continue;
    plans.splice(plans.begin(), plans, it);
    return &plans.front();
  }
  if (!base) {
    FEWBIT_ASSIGN(base, rewritten());
  }
  Prepared prepared;
  prepared.input_dims = dims;
  FEWBIT_ASSIGN(prepared.graph, specialised(dims));
  Lowering lowering(prepared.graph, threads, options.seed, options.bfloat16 && bfloat16_is_fast());
  FEWBIT_ASSIGN(prepared.plan, lowering.build(watched, options.optimize));
  Plan& plan = prepared.plan;
  prepared.arena = Tensor::uninitialized(DType::kUint8, {std::max<int64_t>(plan.arena_bytes, 1)});
  prepared.frame.threads = threads;
  prepared.frame.arena = prepared.arena.raw();
  prepared.frame.arena_bytes = plan.arena_bytes;
  prepared.frame.values.resize(plan.slots.size());
  for (size_t s = 0; s < plan.slots.size(); ++s) {
    const Slot& slot = plan.slots[s];
    if (slot.kind == Slot::Kind::kConstant) prepared.frame.values[s] = slot.constant;
    if (slot.kind == Slot::Kind::kArena && slot.offset >= 0) {
      prepared.frame.values[s] =
          Tensor::view(slot.type, slot.dims, prepared.arena.raw() + slot.offset, nullptr);
    }
  }
  prepared.seconds.assign(plan.steps.size(), 0.0);
  plans.push_front(std::move(prepared));
  while (static_cast<int>(plans.size()) > std::max(options.max_plans, 1)) plans.pop_back();
  return &plans.front();
}

Status Session::State::check_input(size_t index, const RuntimeValue& value) const {
  const Value& v = model.graph.value(model.graph.inputs[index]);
  if (v.type.kind != ValueType::Kind::kTensor) return {};
  if (!value.is_tensor()) {
    return bad_input("input '{}': expected {}, found no tensor", v.name, v.type.to_string());
  }
  const Tensor& t = value.tensor();
  std::string found = fmt::format("{}{}", name_of(t.type()), to_string(t.dims()));
  bool fits = v.type.elem == DType::kUndefined || v.type.elem == t.type();
  if (fits && v.type.shape) {
    fits = static_cast<int64_t>(v.type.shape->size()) == t.rank();
    for (int64_t i = 0; fits && i < t.rank(); ++i) {
      const Dim& d = (*v.type.shape)[static_cast<size_t>(i)];
      fits = !d.known() || d.value == t.dim(i);
    }
  }
  if (!fits) {
    return bad_input("input '{}': expected {}, found {}", v.name, v.type.to_string(), found);
  }
  return {};
}

Result<std::vector<RuntimeValue>> Session::State::bind(const Feeds& given) const {
  const Graph& graph = model.graph;
  std::vector<RuntimeValue> values(graph.inputs.size());
  std::vector<bool> set(graph.inputs.size(), false);
  for (const auto& [name, value] : given) {
    ValueId id = graph.find_value(name);
    auto it = std::find(graph.inputs.begin(), graph.inputs.end(), id);
    if (id == kNone || it == graph.inputs.end()) {
      std::vector<std::string> names;
      for (ValueId input : graph.inputs) names.push_back(graph.value(input).name);
      return bad_input("the model has no input '{}'; its inputs are: {}", name, join(names, ", "));
    }
    auto index = static_cast<size_t>(it - graph.inputs.begin());
    FEWBIT_TRY(check_input(index, value));
    values[index] = value;
    set[index] = true;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (set[i]) continue;
    const Value& v = graph.value(graph.inputs[i]);
    if (v.is_constant()) {
      values[i] = *v.constant;
    } else if (v.type.kind != ValueType::Kind::kOptional) {
      return bad_input("input '{}' ({}) is missing", v.name, v.type.to_string());
    }
  }
  return values;
}

void Session::State::show(const Prepared& prepared, size_t after_step) const {
  for (const Watched& w : prepared.plan.watched[after_step]) {
    const RuntimeValue& value = prepared.frame.values[static_cast<size_t>(w.slot)];
    if (hook && value.is_tensor()) hook(w.name, value.tensor());
  }
}

bool bfloat16_is_fast() {
  const auto isa = selected_isa();
  return isa.ok() && *isa >= Isa::kAvx512Vnni && dnnl_has_fast(DType::kBfloat16);
}

Result<Session> Session::create(Model model, SessionOptions options) {
  FEWBIT_TRY(verify(model));
  std::vector<std::string> missing = unsupported_operators(model.graph);
  if (!missing.empty()) {
    return unsupported("{}: no implementation of {}", model.path.empty() ? "model" : model.path,
                       join(missing, ", "));
  }
  auto state = std::make_unique<State>();
  state->threads = options.threads > 0 ? options.threads : omp_get_num_procs();
  state->options = options;
  state->model = std::move(model);
  // An input with a default is a constant to the rewrites only if nobody can override it.
  for (ValueId id : state->model.graph.inputs) {
    Value& v = state->model.graph.value(id);
    if (v.is_constant() && state->model.ir_version >= 4) continue;
    state->feeds.push_back(id);
  }
  return Session(std::move(state));
}

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

std::vector<std::pair<std::string, ValueType>> Session::inputs() const {
  std::vector<std::pair<std::string, ValueType>> out;
  for (ValueId id : state_->model.graph.inputs) {
    const Value& v = state_->model.graph.value(id);
    if (!v.is_constant()) out.emplace_back(v.name, v.type);
  }
  return out;
}

std::vector<std::pair<std::string, ValueType>> Session::outputs() const {
  std::vector<std::pair<std::string, ValueType>> out;
  for (ValueId id : state_->model.graph.outputs) {
    out.emplace_back(state_->model.graph.value(id).name, state_->model.graph.value(id).type);
  }
  return out;
}

Result<std::vector<RuntimeValue>> Session::run(const Feeds& feeds) {
  State& state = *state_;
  // Before the plan is made: oneDNN's primitives are bound to the thread count at their creation.
  omp_set_num_threads(state.threads);
  FEWBIT_ASSIGN(std::vector<RuntimeValue> values, state.bind(feeds));
  std::vector<Dims> dims;
  for (const RuntimeValue& v : values) dims.push_back(v.is_tensor() ? v.tensor().dims() : Dims{});
  FEWBIT_ASSIGN(Prepared * prepared, state.plan_for(dims));
  Plan& plan = prepared->plan;
  Frame& frame = prepared->frame;
  for (size_t i = 0; i < plan.inputs.size(); ++i) {
    frame.values[static_cast<size_t>(plan.inputs[i])] = std::move(values[i]);
  }
  for (size_t s = 0; s < plan.slots.size(); ++s) {
    const Slot& slot = plan.slots[s];
    if (slot.kind == Slot::Kind::kOutput) {
      frame.values[s] = Tensor::uninitialized(slot.type, slot.dims);
    } else if (slot.kind == Slot::Kind::kDynamic) {
      frame.values[s] = RuntimeValue();
    } else if (slot.kind == Slot::Kind::kAlias) {
      Tensor& source = frame.values[static_cast<size_t>(slot.alias_of)].tensor();
      frame.values[s] = Tensor::view(slot.type, slot.dims, source.raw(), nullptr);
    }
  }
  state.show(*prepared, 0);
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    Clock::time_point start = state.profiling ? Clock::now() : Clock::time_point();
    Status status = plan.steps[i]->run(frame);
    if (!status.ok()) return std::move(status).error();
    if (state.profiling) {
      prepared->seconds[i] += std::chrono::duration<double>(Clock::now() - start).count();
    }
    state.show(*prepared, i + 1);
    for (SlotId dead : plan.dead_after[i]) frame.values[static_cast<size_t>(dead)] = RuntimeValue();
  }
  ++prepared->calls;
  std::vector<RuntimeValue> results;
  for (SlotId s : plan.outputs) {
    const Slot& slot = plan.slots[static_cast<size_t>(s)];
    RuntimeValue value = frame.values[static_cast<size_t>(s)];
    bool owned = slot.kind == Slot::Kind::kOutput || slot.kind == Slot::Kind::kDynamic;
    if (!owned && value.is_tensor()) value = value.tensor().clone();
    results.push_back(std::move(value));
  }
  return results;
}

Status Session::watch(const std::vector<std::string>& names, ValueHook hook) {
  for (const std::string& name : names) {
    if (state_->model.graph.find_value(name) == kNone) {
      return bad_input("the model has no value '{}'", name);
    }
  }
  if (names != state_->watched) {
    state_->watched = names;
    state_->base.reset();
    state_->plans.clear();
  }
  state_->hook = std::move(hook);
  return {};
}

void Session::set_profiling(bool on) {
  state_->profiling = on;
  for (Prepared& p : state_->plans) {
    std::fill(p.seconds.begin(), p.seconds.end(), 0.0);
    p.calls = 0;
  }
}

std::vector<StepProfile> Session::profile() const {
  std::vector<StepProfile> out;
  if (state_->plans.empty()) return out;
  const Prepared& p = state_->plans.front();
  for (size_t i = 0; i < p.plan.steps.size(); ++i) {
    const Step& s = *p.plan.steps[i];
    out.push_back({s.label, s.op, s.kernel, s.macs, s.weight_bytes, p.calls, p.seconds[i]});
  }
  return out;
}

int64_t Session::arena_bytes() const {
  return state_->plans.empty() ? 0 : state_->plans.front().plan.arena_bytes;
}

int64_t Session::constant_bytes() const {
  return state_->plans.empty() ? 0 : state_->plans.front().plan.constant_bytes;
}

std::string Session::executed_graph() const {
  return state_->plans.empty() ? std::string() : print(state_->plans.front().graph);
}

const Model& Session::model() const {
  return state_->model;
}

}  // namespace fewbit
