#include "runtime/lower/lowering.h"

#include <algorithm>
#include <cstring>

#include "kernels/dnnl/dnnl.h"
#include "runtime/interpreter.h"
#include "runtime/rewrite/rewrite.h"

namespace fewbit {
namespace {

// Any node, by its plain operator.
class PlainStep final : public Step {
 public:
  PlainStep(const Node& node, std::vector<SlotId> inputs, std::vector<SlotId> outputs,
            std::vector<std::pair<std::string, SlotId>> captures, uint64_t seed)
      : node_(node),
        inputs_(std::move(inputs)),
        outputs_(std::move(outputs)),
        captures_(std::move(captures)),
        seed_(seed) {
    kernel = "plain";
    for (SlotId s : inputs_) {
      if (s != kNone) reads.push_back(s);
    }
    for (const auto& [name, s] : captures_) reads.push_back(s);
    for (SlotId s : outputs_) {
      if (s != kNone) writes.push_back(s);
    }
  }

  Status run(Frame& frame) override {
    std::vector<RuntimeValue> inputs(inputs_.size());
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (inputs_[i] != kNone) inputs[i] = frame.values[static_cast<size_t>(inputs_[i])];
    }
    Scope scope;
    for (const auto& [name, slot] : captures_) {
      scope.values.emplace(name, frame.values[static_cast<size_t>(slot)]);
    }
    auto planned = [&](size_t i, DType type, const Dims& dims) {
      if (outputs_[i] != kNone) {
        const RuntimeValue& place = frame.values[static_cast<size_t>(outputs_[i])];
        if (place.is_tensor() && place.tensor().type() == type && place.tensor().dims() == dims) {
          return place.tensor();
        }
      }
      return Tensor::uninitialized(type, dims);
    };
    FEWBIT_ASSIGN(auto results, run_node(node_, std::move(inputs), scope, seed_, planned));
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (outputs_[i] == kNone) continue;
      FEWBIT_TRY(store(frame, outputs_[i], std::move(results[i]), i));
    }
    return {};
  }

 private:
  // Static outputs have a planned place: a result that lies elsewhere (a shared input) is copied.
  Status store(Frame& frame, SlotId slot, RuntimeValue result, size_t index) const {
    RuntimeValue& place = frame.values[static_cast<size_t>(slot)];
    if (!place.is_tensor()) {  // a dynamic slot: emptied before each run
      place = frame.detached(std::move(result));
      return {};
    }
    Tensor& target = place.tensor();
    if (!result.is_tensor() || result.tensor().type() != target.type() ||
        result.tensor().dims() != target.dims()) {
      return bad_input("{}: output {} was inferred as {}{} and came out as {}", node_.label(),
                       index, name_of(target.type()), to_string(target.dims()),
                       result.is_tensor() ? fmt::format("{}{}", name_of(result.tensor().type()),
                                                        to_string(result.tensor().dims()))
                                          : "no tensor");
    }
    if (result.tensor().raw() != target.raw() && target.bytes() > 0) {
      std::memcpy(target.raw(), result.tensor().raw(), static_cast<size_t>(target.bytes()));
    }
    return {};
  }

  Node node_;
  std::vector<SlotId> inputs_, outputs_;
  std::vector<std::pair<std::string, SlotId>> captures_;
  uint64_t seed_;
};

class ConvertLayoutStep final : public Step {
 public:
  ConvertLayoutStep(SlotId from, SlotId to, const Slot& source, Layout target)
      : from_(from), to_(to), from_layout_(source.layout), to_layout_(target), dims_(source.dims) {
    element_bytes_ = bits_of(source.type) / 8;
    op = "ConvertLayout";
    kernel = fmt::format("{} -> {}", name_of(from_layout_), name_of(to_layout_));
    label = fmt::format("layout of '{}'", source.name);
    reads = {from};
    writes = {to};
  }
  Status run(Frame& frame) override {
    convert_layout(frame.in(from_), from_layout_, frame.out(to_), to_layout_, dims_, element_bytes_,
                   frame.threads);
    return {};
  }

 private:
  SlotId from_, to_;
  Layout from_layout_, to_layout_;
  Dims dims_;
  int element_bytes_;
};

// float32 <-> bfloat16, with or without a change of layout.
class ConvertTypeStep final : public Step {
 public:
  ConvertTypeStep(SlotId from, SlotId to, const Slot& source, const Slot& target)
      : from_(from), to_(to), reorder_(make(source, target)) {
    op = "ConvertType";
    kernel = fmt::format("{} -> {}", name_of(source.type), name_of(target.type));
    label = fmt::format("type of '{}'", source.name);
    reads = {from};
    writes = {to};
  }
  Status run(Frame& frame) override {
    reorder_.execute(frame.in(from_), frame.out(to_));
    return {};
  }

 private:
  static DnnlReorder make(const Slot& source, const Slot& target) {
    DnnlReorderSpec spec;
    spec.dims = source.dims;
    spec.src_type = source.type;
    spec.dst_type = target.type;
    // A layout is one of spatial dimensions; without them all layouts are the same bytes.
    if (!same_bytes(source.dims, source.layout, target.layout)) {
      spec.src_layout = source.layout;
      spec.dst_layout = target.layout;
    }
    auto reorder = DnnlReorder::create(spec);
    FEWBIT_CHECK(reorder.ok(), reorder.error().message());
    return std::move(*reorder);
  }

  SlotId from_, to_;
  DnnlReorder reorder_;
};

bool convertible(DType type) {
  return bits_of(type) >= 8 && bits_of(type) <= 64;
}

}  // namespace

Lowering::Lowering(const Graph& graph, int threads, uint64_t seed, bool bfloat16)
    : graph_(graph), threads_(threads), seed_(seed), bfloat16_(bfloat16), uses_(graph) {
  dims_.resize(graph.value_count());
  first_form_.assign(graph.value_count(), Form{});
  for (size_t i = 0; i < dims_.size(); ++i) {
    const Value& v = graph.value(static_cast<ValueId>(i));
    if (v.is_constant()) {
      dims_[i] = v.constant->dims();
    } else if (v.type.kind == ValueType::Kind::kTensor && v.type.elem != DType::kUndefined) {
      dims_[i] = v.type.static_dims();
    }
  }
}

bool Lowering::is_static(ValueId id) const {
  return id != kNone && dims_[static_cast<size_t>(id)].has_value();
}

const Dims& Lowering::dims(ValueId id) const {
  FEWBIT_CHECK(is_static(id), id);
  return *dims_[static_cast<size_t>(id)];
}

Layout Lowering::layout(ValueId id) const {
  return first_form(id).layout;
}

Lowering::Form Lowering::first_form(ValueId id) const {
  const Form& form = first_form_[static_cast<size_t>(id)];
  return form.stored == DType::kUndefined ? Form{Layout::kPlain, type(id)} : form;
}

bool Lowering::is_available(ValueId id) const {
  return graph_.constant(id) != nullptr || slots_.find({id, first_form(id)}) != slots_.end();
}

bool Lowering::computes_in_bfloat16(const Node& node) const {
  return bfloat16_ && node.metadata.count(std::string(kBfloat16Weights)) != 0;
}

bool Lowering::wanted_as_bfloat16(ValueId id) const {
  if (graph_.is_output(id) || is_watched(id) || uses_.consumers[static_cast<size_t>(id)].empty())
    return false;
  for (NodeId reader : uses_.consumers[static_cast<size_t>(id)]) {
    const Node& node = graph_.node(reader);
    if (computes_in_bfloat16(node) && node.input(0) == id) continue;
    // An addition that the layer behind its other operand will take over.
    if (!node.is("Add") || node.inputs.size() != 2) return false;
    const ValueId other = node.input(0) == id ? node.input(1) : node.input(0);
    const NodeId producer = other == kNone ? kNone : graph_.value(other).producer;
    if (producer == kNone || !computes_in_bfloat16(graph_.node(producer))) return false;
  }
  return true;
}

NodeId Lowering::fusable_reader(ValueId id) const {
  if (is_watched(id)) return kNone;
  NodeId reader = uses_.single_consumer(id);
  return reader != kNone && covered_.count(reader) == 0 ? reader : kNone;
}

SlotId Lowering::add_constant(std::string name, Tensor tensor) {
  Slot slot;
  slot.kind = Slot::Kind::kConstant;
  slot.type = tensor.type();
  slot.dims = tensor.dims();
  slot.name = std::move(name);
  slot.constant = std::move(tensor);
  plan_.slots.push_back(std::move(slot));
  return static_cast<SlotId>(plan_.slots.size() - 1);
}

SlotId Lowering::use_constant(ValueId id, Form wanted) {
  const Tensor& constant = *graph_.constant(id);
  FEWBIT_CHECK(wanted.stored == constant.type(), graph_.value(id).name);
  Tensor tensor = constant;
  if (!same_bytes(tensor.dims(), Layout::kPlain, wanted.layout)) {
    tensor = Tensor::uninitialized(constant.type(), constant.dims());
    convert_layout(constant.raw(), Layout::kPlain, tensor.raw(), wanted.layout, tensor.dims(),
                   bits_of(tensor.type()) / 8, threads_);
  }
  SlotId slot = add_constant(graph_.value(id).name, std::move(tensor));
  plan_.slots[static_cast<size_t>(slot)].layout = wanted.layout;
  slots_[{id, wanted}] = slot;
  return slot;
}

SlotId Lowering::use(ValueId id, Layout layout, DType stored) {
  const Form wanted = {layout, stored};
  auto found = slots_.find({id, wanted});
  if (found != slots_.end()) return found->second;
  if (graph_.constant(id) != nullptr) return use_constant(id, wanted);
  const Form existing = first_form(id);
  auto it = slots_.find({id, existing});
  FEWBIT_CHECK(it != slots_.end(), graph_.value(id).name);
  SlotId source = it->second;
  const Slot from = plan_.slots[static_cast<size_t>(source)];
  Slot slot;
  slot.type = stored;
  slot.dims = from.dims;
  slot.name = from.name;
  slot.layout = layout;
  auto target = static_cast<SlotId>(plan_.slots.size());
  slots_[{id, wanted}] = target;
  if (stored == existing.stored && same_bytes(from.dims, existing.layout, layout)) {
    slot.kind = Slot::Kind::kAlias;
    slot.alias_of = source;
    plan_.slots.push_back(std::move(slot));
    return target;
  }
  FEWBIT_CHECK(convertible(from.type), name_of(from.type));
  slot.kind = Slot::Kind::kArena;
  std::unique_ptr<Step> step;
  if (stored == existing.stored) {
    step = std::make_unique<ConvertLayoutStep>(source, target, from, layout);
  } else {
    step = std::make_unique<ConvertTypeStep>(source, target, from, slot);
  }
  plan_.slots.push_back(std::move(slot));
  plan_.steps.push_back(std::move(step));
  plan_.watched.emplace_back();
  return target;
}

SlotId Lowering::define(ValueId id, Layout layout, DType stored) {
  const Value& v = graph_.value(id);
  Slot slot;
  slot.name = v.name;
  slot.layout = layout;
  slot.type = stored;
  if (is_static(id) && slot.type != DType::kString) {
    slot.dims = dims(id);
    bool is_result = layout == Layout::kPlain && stored == v.type.elem && graph_.is_output(id);
    slot.kind = is_result ? Slot::Kind::kOutput : Slot::Kind::kArena;
  } else {
    FEWBIT_CHECK(layout == Layout::kPlain, v.name);
    slot.kind = Slot::Kind::kDynamic;
  }
  plan_.slots.push_back(std::move(slot));
  auto result = static_cast<SlotId>(plan_.slots.size() - 1);
  slots_[{id, Form{layout, stored}}] = result;
  first_form_[static_cast<size_t>(id)] = {layout, stored};
  return result;
}

void Lowering::alias(ValueId id, SlotId source) {
  FEWBIT_CHECK(!graph_.is_output(id), graph_.value(id).name);
  Slot slot;
  slot.kind = Slot::Kind::kAlias;
  slot.alias_of = source;
  slot.type = type(id);
  slot.dims = dims(id);
  slot.name = graph_.value(id).name;
  plan_.slots.push_back(std::move(slot));
  slots_[{id, Form{Layout::kPlain, type(id)}}] = static_cast<SlotId>(plan_.slots.size() - 1);
  first_form_[static_cast<size_t>(id)] = {Layout::kPlain, type(id)};
}

void Lowering::add(std::unique_ptr<Step> step, const Node& node) {
  if (step->label.empty()) step->label = node.label();
  if (step->op.empty()) step->op = node.op_type;
  plan_.steps.push_back(std::move(step));
  plan_.watched.emplace_back();
}

void Lowering::add_plain_step(const Node& node) {
  std::vector<SlotId> inputs;
  for (ValueId in : node.inputs) {
    inputs.push_back(in == kNone ? kNone : use(in, Layout::kPlain));
  }
  std::vector<std::pair<std::string, SlotId>> captures;
  for (const auto& [key, attribute] : node.attributes) {
    const auto* sub = std::get_if<std::shared_ptr<Graph>>(&attribute);
    if (sub == nullptr) continue;
    for (const std::string& name : (*sub)->captures()) {
      ValueId id = graph_.find_value(name);
      if (id != kNone) captures.emplace_back(name, use(id, Layout::kPlain));
    }
  }
  std::vector<SlotId> outputs;
  for (ValueId out : node.outputs) {
    outputs.push_back(out == kNone ? kNone : define(out, Layout::kPlain));
  }
  add(std::make_unique<PlainStep>(node, std::move(inputs), std::move(outputs), std::move(captures),
                                  seed_),
      node);
}

Status Lowering::lower_node(NodeId id, bool optimize) {
  if (covered_.count(id) != 0) return {};
  const Node& node = graph_.node(id);
  bool all_static = true;
  for (ValueId v : node.inputs) all_static = all_static && (v == kNone || is_static(v));
  for (ValueId v : node.outputs) all_static = all_static && (v == kNone || is_static(v));
  bool done = false;
  if (optimize && all_static) {
    for (const LowerRow& row : lower_table()) {
      if (row.op_type != node.op_type || row.domain != node.domain) continue;
      const std::set<NodeId> covered_before = covered_;
      Result<bool> lowered = row.lower(*this, node);
      if (!lowered.ok() && lowered.error().kind() != ErrorKind::kUnsupported) {
        return std::move(lowered).error().with_context(node.label());
      }
      done = lowered.ok() && *lowered;
      if (done) break;
      covered_ = covered_before;
    }
  }
  if (!done) add_plain_step(node);
  for (ValueId out : node.outputs) {
    if (out != kNone) attach_watched(out);
  }
  // What a fused step produced in place of a later node is shown here too.
  for (NodeId covered : covered_) {
    for (ValueId out : graph_.node(covered).outputs) {
      if (out != kNone && is_available(out)) attach_watched(out);
    }
  }
  return {};
}

void Lowering::attach_watched(ValueId id) {
  if (!is_watched(id) || !shown_.insert(id).second) return;
  SlotId slot = use(id, Layout::kPlain);
  plan_.watched.back().push_back({graph_.value(id).name, slot});
}

void Lowering::attach_inputs() {
  for (ValueId id : graph_.inputs) {
    Slot slot;
    slot.kind = Slot::Kind::kInput;
    slot.type = type(id);
    slot.name = graph_.value(id).name;
    if (is_static(id)) slot.dims = dims(id);
    plan_.slots.push_back(std::move(slot));
    auto s = static_cast<SlotId>(plan_.slots.size() - 1);
    slots_[{id, Form{Layout::kPlain, type(id)}}] = s;
    plan_.inputs.push_back(s);
    attach_watched(id);
  }
}

Result<Plan> Lowering::build(const std::vector<std::string>& watched, bool optimize) {
  watch_names_ = {watched.begin(), watched.end()};
  plan_.watched.emplace_back();  // what exists before the first step
  attach_inputs();
  // Constants, also those that nodes were folded into, exist before the first step.
  for (const std::string& name : watch_names_) {
    ValueId id = graph_.find_value(name);
    if (graph_.constant(id) != nullptr) attach_watched(id);
  }
  for (NodeId id : graph_.order()) FEWBIT_TRY(lower_node(id, optimize));
  for (ValueId id : graph_.outputs) {
    if (!is_available(id)) {
      return bad_input("graph output '{}' is never produced", graph_.value(id).name);
    }
    plan_.outputs.push_back(use(id, Layout::kPlain));
  }
  plan_memory(plan_);
  return std::move(plan_);
}

}  // namespace fewbit
