#include "graph/infer_context.h"

#include <algorithm>
#include <bit>

namespace fewbit {

const ValueType& InferContext::type(size_t i) const {
  static const ValueType unknown;
  ValueId id = node_.input(i);
  return id == kNone ? unknown : scope_.graph.value(id).type;
}

DType InferContext::elem(size_t i) const {
  const ValueType& t = type(i);
  return t.kind == ValueType::Kind::kTensor ? t.elem : DType::kUndefined;
}

const Shape* InferContext::shape(size_t i) const {
  const ValueType& t = type(i);
  return t.kind == ValueType::Kind::kTensor && t.shape ? &*t.shape : nullptr;
}

int64_t InferContext::rank(size_t i) const {
  const Shape* s = shape(i);
  return s == nullptr ? -1 : static_cast<int64_t>(s->size());
}

const Tensor* InferContext::constant(size_t i) const {
  ValueId id = node_.input(i);
  if (const Tensor* own = scope_.graph.constant(id)) return own;
  auto it = scope_.captured_constants.find(id);
  return it == scope_.captured_constants.end() ? nullptr : it->second.get();
}

const infer::PartialValue* InferContext::value(size_t i) const {
  const infer::PartialValue* found = nullptr;
  if (const Tensor* tensor = constant(i)) {
    auto& cached = in_values_[i];
    if (!cached) cached = infer::partial_of(*tensor);
    found = cached ? &*cached : nullptr;
  } else if (auto it = scope_.partials.find(node_.input(i)); it != scope_.partials.end()) {
    found = &it->second;
  }
  // Rows index the elements by the type's shape: a declared type that contradicts the tensor must
  // not lead them out of bounds.
  const Shape* s = shape(i);
  if (found == nullptr || s == nullptr || s->size() != found->dims.size()) return nullptr;
  for (size_t k = 0; k < s->size(); ++k) {
    if ((*s)[k].known() && (*s)[k].value != found->dims[k]) return nullptr;
  }
  return found;
}

std::optional<std::vector<int64_t>> InferContext::ints(size_t i) const {
  const infer::PartialValue* v = value(i);
  return v == nullptr ? std::nullopt : v->ints();
}

std::optional<int64_t> InferContext::int_scalar(size_t i) const {
  auto all = ints(i);
  return all && all->size() == 1 ? std::optional(all->front()) : std::nullopt;
}

std::optional<std::vector<double>> InferContext::reals(size_t i) const {
  const infer::PartialValue* v = value(i);
  return v == nullptr ? std::nullopt : v->reals();
}

namespace {

template <typename T>
Result<T> required(const Node& node, std::string_view key, std::string_view expected) {
  if (const T* v = node.get<T>(key)) return *v;
  if (node.has(key)) return bad_input("attribute '{}' is not {}", key, expected);
  return bad_input("attribute '{}' is missing, expected {}", key, expected);
}

}  // namespace

Result<int64_t> InferContext::required_int(std::string_view key) const {
  return required<int64_t>(node_, key, "an integer");
}

Result<std::vector<int64_t>> InferContext::required_ints(std::string_view key) const {
  return required<std::vector<int64_t>>(node_, key, "a list of integers");
}

Result<std::string> InferContext::required_string(std::string_view key) const {
  return required<std::string>(node_, key, "a string");
}

Result<std::shared_ptr<Graph>> InferContext::required_graph(std::string_view key) const {
  auto graph = required<std::shared_ptr<Graph>>(node_, key, "a graph");
  if (graph.ok() && *graph == nullptr) return bad_input("attribute '{}' holds no graph", key);
  return graph;
}

Result<DType> InferContext::dtype_attribute(std::string_view key, DType fallback) const {
  if (!node_.has(key)) return fallback;
  FEWBIT_ASSIGN(int64_t number, required_int(key));
  if (number <= 0 || number >= kDTypeCount) {
    return bad_input("attribute '{}' is {}, expected the number of an element type (1 .. {})", key,
                     number, kDTypeCount - 1);
  }
  return static_cast<DType>(number);
}

Result<int64_t> InferContext::normalize_axis(int64_t axis, int64_t rank,
                                             std::string_view what) const {
  if (axis < -rank || axis >= rank) {
    return bad_input("{} is {}, expected a number in [{}, {}] for rank {}", what, axis, -rank,
                     rank - 1, rank);
  }
  return axis < 0 ? axis + rank : axis;
}

Result<std::vector<int64_t>> InferContext::normalize_axes(std::vector<int64_t> axes,
                                                          int64_t rank) const {
  for (int64_t& axis : axes) {
    FEWBIT_ASSIGN(axis, normalize_axis(axis, rank, "an element of axes"));
  }
  return axes;
}

void InferContext::set(size_t i, DType elem, std::optional<Shape> shape) {
  set_type(i, ValueType::tensor(elem, std::move(shape)));
}

void InferContext::set_type(size_t i, ValueType type) {
  if (i < out_types_.size()) out_types_[i] = std::move(type);
}

void InferContext::set_value(size_t i, infer::PartialValue value) {
  if (i < out_values_.size()) out_values_[i] = std::move(value);
}

Error InferContext::expected(size_t i, fmt::string_view format, fmt::format_args args) const {
  return bad_input("{} has type {}, expected {}", input_label(i), type(i).to_string(),
                   fmt::vformat(format, args));
}

std::string InferContext::input_label(size_t i) const {
  if (!has(i)) return fmt::format("input {}", i);
  return fmt::format("input {} '{}'", i, scope_.graph.value(node_.inputs[i]).name);
}

Status InferContext::check_elem(size_t i, TypeSet allowed) const {
  DType t = elem(i);
  if (t == DType::kUndefined || (allowed & type_bit(t)) != 0) return {};
  std::string names;
  for (int k = 1; k < kDTypeCount; ++k) {
    if ((allowed >> k & 1) == 0) continue;
    if (!names.empty()) names += ", ";
    names += name_of(static_cast<DType>(k));
  }
  return fail(i, "{}{}", std::popcount(allowed) > 1 ? "one of " : "", names);
}

Status InferContext::check_same_elem(size_t i, size_t j) const {
  DType a = elem(i);
  DType b = elem(j);
  if (a == DType::kUndefined || b == DType::kUndefined || a == b) return {};
  return fail(j, "{} like {}", name_of(a), input_label(i));
}

Status InferContext::check_rank(size_t i, int64_t expected) const {
  if (rank(i) < 0 || rank(i) == expected) return {};
  return fail(i, "{} dimension{}", expected, expected == 1 ? "" : "s");
}

Status InferContext::check_min_rank(size_t i, int64_t expected) const {
  if (rank(i) < 0 || rank(i) >= expected) return {};
  return fail(i, "at least {} dimension{}", expected, expected == 1 ? "" : "s");
}

Status InferContext::check_dim(size_t i, size_t axis, const Dim& expected) const {
  const Shape* s = shape(i);
  if (s == nullptr || axis >= s->size() || !infer::certainly_differ((*s)[axis], expected))
    return {};
  return fail(i, "dimension {} to be {}", axis, expected.value);
}

namespace {

// Where a name that `scope` does not define is defined: the nearest enclosing graph that has it.
void bind_capture(InferScope& scope, ValueId id) {
  Value& capture = scope.graph.value(id);
  for (InferScope* s = scope.outer; s != nullptr; s = s->outer) {
    ValueId found = s->graph.find_value(capture.name);
    if (found == kNone) continue;
    const Value& source = s->graph.value(found);
    capture.type = source.type;
    auto partial = s->partials.find(found);
    if (partial != s->partials.end()) scope.partials[id] = partial->second;
    auto constant = s->captured_constants.find(found);
    if (source.constant) {
      scope.captured_constants[id] = source.constant;
    } else if (constant != s->captured_constants.end()) {
      scope.captured_constants[id] = constant->second;
    }
    return;
  }
}

// The type of a formal input from its declared type and what is passed in: they may disagree on the
// shape only (a loop's state may change its shape), then what is passed in counts.
Result<ValueType> bind_formal(const Value& formal, const ValueType& given, const Graph& graph) {
  if (auto merged = merge_types(given, formal.type)) return *merged;
  bool tensors = given.kind == ValueType::Kind::kTensor && formal.type.kind == given.kind;
  if (tensors && given.elem == formal.type.elem) return given;
  return bad_input("input '{}' of sub-graph '{}' is declared {}, but is given {}", formal.name,
                   graph.name, formal.type.to_string(), given.to_string());
}

}  // namespace

Result<SubgraphOutputs> InferContext::infer_subgraph(
    Graph& graph, const std::vector<ValueType>& input_types,
    const std::vector<std::optional<infer::PartialValue>>& input_values) {
  if (input_types.size() != graph.inputs.size()) {
    return bad_input("sub-graph '{}' has {} inputs, expected {}", graph.name, graph.inputs.size(),
                     input_types.size());
  }
  if (scope_.budget.depth >= kMaxInferDepth) {
    return unsupported("sub-graphs are nested more than {} deep", kMaxInferDepth);
  }
  InferScope inner{graph, scope_.budget, scope_.carry_values, &scope_};
  for (size_t i = 0; i < input_types.size(); ++i) {
    Value& formal = graph.value(graph.inputs[i]);
    FEWBIT_ASSIGN(formal.type, bind_formal(formal, input_types[i], graph));
    if (i < input_values.size() && input_values[i]) {
      inner.partials[graph.inputs[i]] = *input_values[i];
    }
  }
  std::vector<bool> formal(graph.value_count(), false);
  for (ValueId id : graph.inputs) formal[static_cast<size_t>(id)] = true;
  for (ValueId id = 0; id < static_cast<ValueId>(graph.value_count()); ++id) {
    const Value& v = graph.value(id);
    bool capture = v.producer == kNone && !v.is_constant() && !formal[static_cast<size_t>(id)];
    if (capture) bind_capture(inner, id);
  }
  ++scope_.budget.depth;
  Status status;
  for (NodeId id : graph.order()) {
    status = infer_in_scope(inner, id);
    if (!status.ok()) break;
  }
  --scope_.budget.depth;
  FEWBIT_TRY(status);
  SubgraphOutputs out;
  for (ValueId id : graph.outputs) {
    out.types.push_back(graph.value(id).type);
    auto partial = inner.partials.find(id);
    std::optional<infer::PartialValue> value;
    if (partial != inner.partials.end()) value = partial->second;
    if (graph.constant(id) != nullptr) value = infer::partial_of(*graph.constant(id));
    out.values.push_back(std::move(value));
  }
  return out;
}

}  // namespace fewbit
