// If, Loop, Scan: sub-graphs are inferred with what the node passes in.

#include <algorithm>

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"

namespace fewbit::infer {

namespace {

Status check_output_count(const InferContext& c, std::string_view name, size_t found) {
  if (found == c.output_count()) return {};
  return bad_input("sub-graph '{}' yields {} outputs, but the node has {}", name, found,
                   c.output_count());
}

void set_from(InferContext& c, size_t i, const SubgraphOutputs& outputs) {
  c.set_type(i, outputs.types[i]);
  if (outputs.values[i]) c.set_value(i, *outputs.values[i]);
}

// A branch that certainly cannot run, while the condition is unknown, is the one not taken: its
// outputs say nothing.
Result<SubgraphOutputs> infer_branch(InferContext& c, std::string_view key, bool certain) {
  FEWBIT_ASSIGN(std::shared_ptr<Graph> graph, c.required_graph(key));
  FEWBIT_TRY(check_output_count(c, key, graph->outputs.size()));
  auto outputs = c.infer_subgraph(*graph, {});
  if (outputs.ok() || certain) return outputs;
  SubgraphOutputs unknown;
  for (ValueId id : graph->outputs) {
    ValueType type = graph->value(id).type;
    type.shape.reset();
    unknown.types.push_back(std::move(type));
  }
  unknown.values.resize(unknown.types.size());
  return unknown;
}

Status if_(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kBools));
  FEWBIT_TRY(check_one_element(c, 0));
  if (auto condition = c.int_scalar(0)) {
    FEWBIT_ASSIGN(SubgraphOutputs taken,
                  infer_branch(c, *condition != 0 ? "then_branch" : "else_branch", true));
    for (size_t i = 0; i < c.output_count(); ++i) set_from(c, i, taken);
    return {};
  }
  FEWBIT_ASSIGN(SubgraphOutputs yes, infer_branch(c, "then_branch", false));
  FEWBIT_ASSIGN(SubgraphOutputs no, infer_branch(c, "else_branch", false));
  for (size_t i = 0; i < c.output_count(); ++i) {
    c.set_type(i, union_types(yes.types[i], no.types[i]));
    if (yes.values[i] && yes.values[i] == no.values[i]) c.set_value(i, *yes.values[i]);
  }
  return {};
}

ValueType without_shape(ValueType t) {
  t.shape.reset();
  if (t.inner) t.inner = std::make_shared<ValueType>(without_shape(*t.inner));
  return t;
}

// What a state may be in any round: `now` if the body keeps it, else the dimensions that it keeps;
// one that changes again is forgotten.
ValueType weakened(const ValueType& now, const ValueType& after, bool first_change) {
  ValueType both = union_types(now, after);
  bool kept = both.to_string() == now.to_string();
  if (kept || (first_change && both.kind != ValueType::Kind::kUnknown)) return both;
  return without_shape(now);
}

// Infers a loop body whose `states` inputs from `first_state` on are, from the second round on, its
// outputs from `skipped` on. A state may change its shape from round to round: the body is inferred
// again with weaker states until they are invariant. `inputs` ends as what was invariant.
Result<SubgraphOutputs> infer_body(InferContext& c, Graph& body, std::vector<ValueType>& inputs,
                                   const std::vector<std::optional<PartialValue>>& values,
                                   size_t first_state, size_t states, size_t skipped) {
  const Graph pristine = body;
  std::vector<bool> changed(states, false);
  while (c.budget().reruns > 0) {
    auto outputs = c.infer_subgraph(body, inputs, values);
    if (!outputs.ok()) return outputs;
    bool stable = true;
    for (size_t i = 0; i < states; ++i) {
      ValueType& now = inputs[first_state + i];
      ValueType next = weakened(now, outputs->types[i + skipped], !changed[i]);
      if (next.to_string() == now.to_string()) continue;
      stable = false;
      changed[i] = true;
      now = std::move(next);
    }
    if (stable) return outputs;
    --c.budget().reruns;
    body = pristine;
  }
  for (size_t i = 0; i < states; ++i) {
    inputs[first_state + i] = without_shape(inputs[first_state + i]);
  }
  return c.infer_subgraph(body, inputs, values);
}

// Where a scan output gets its new dimension from.
ValueType with_dimension(const ValueType& element, int64_t axis, const Dim& count) {
  ValueType out = element;
  if (!out.shape) return out;
  auto rank = static_cast<int64_t>(out.shape->size()) + 1;
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank) {
    out.shape.reset();
  } else {
    out.shape->insert(out.shape->begin() + axis, count);
  }
  return out;
}

bool is_constant_true(const InferContext& c, size_t i) {
  auto v = c.int_scalar(i);
  return v && *v != 0;
}

// M?, cond?, v_initial... -> v_final..., scan outputs...; the body takes (iteration, condition,
// states...) and yields (condition, states..., scan elements...).
Status loop(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, types(DType::kInt64)));
  FEWBIT_TRY(c.check_elem(1, kBools));
  FEWBIT_ASSIGN(std::shared_ptr<Graph> body, c.required_graph("body"));
  size_t states = c.input_count() - 2;
  if (body->outputs.empty() || body->outputs.size() - 1 < states) {
    return bad_input("sub-graph 'body' yields {} outputs, expected a condition and {} states",
                     body->outputs.size(), states);
  }
  FEWBIT_TRY(check_output_count(c, "body", body->outputs.size() - 1));
  std::vector<ValueType> inputs = {ValueType::tensor(DType::kInt64, Shape{}),
                                   ValueType::tensor(DType::kBool, Shape{})};
  if (body->inputs.size() >= 2) {
    // Some files declare the two with one element instead of as scalars: what they declare counts.
    for (size_t i = 0; i < 2; ++i) {
      const ValueType& declared = body->value(body->inputs[i]).type;
      if (declared.kind == ValueType::Kind::kTensor && declared.shape) inputs[i] = declared;
    }
  }
  for (size_t i = 0; i < states; ++i) inputs.push_back(c.type(2 + i));
  // With a condition the body only runs while it holds.
  std::vector<std::optional<PartialValue>> values(2);
  if (c.has(1)) {
    Dims one(inputs[1].shape ? inputs[1].shape->size() : 0, 1);
    values[1] = PartialValue{std::move(one), {PartialElement::of(1)}};
  }
  FEWBIT_ASSIGN(SubgraphOutputs outputs, infer_body(c, *body, inputs, values, 2, states, 1));
  for (size_t i = 0; i < states; ++i) {
    c.set_type(i, union_types(inputs[2 + i], outputs.types[1 + i]));
  }
  // The trip count is certain only if no condition can end the loop early.
  Dim trips;
  const auto& condition = outputs.values[0];
  bool runs_through = (!c.has(1) || is_constant_true(c, 1)) &&
                      (!c.has(1) || (condition && condition->elements.size() == 1 &&
                                     condition->elements[0] == PartialElement::of(1)));
  auto limit = c.int_scalar(0);
  if (c.has(0) && limit && runs_through) trips = Dim::of(std::max<int64_t>(*limit, 0));
  for (size_t i = states; i < c.output_count(); ++i) {
    c.set_type(i, with_dimension(outputs.types[1 + i], 0, trips));
  }
  return {};
}

struct ScanLayout {
  size_t first = 0;  ///< 1 in version 8, where input 0 holds sequence lengths
  size_t states = 0;
  size_t scans = 0;
  bool batched = false;  ///< version 8: all inputs have a batch dimension in front
};

int64_t axis_of(const InferContext& c, std::string_view key, size_t i) {
  const auto* axes = c.node().get<std::vector<int64_t>>(key);
  return axes != nullptr && i < axes->size() ? (*axes)[i] : 0;
}

// One element of scan input i: the scanned axis (and the batch of version 8) removed.
Result<ValueType> scan_element(const InferContext& c, const ScanLayout& layout, size_t i,
                               Dim& length) {
  size_t input = layout.first + layout.states + i;
  ValueType element = c.type(input);
  if (!element.shape) return element;
  if (layout.batched) {
    FEWBIT_TRY(c.check_min_rank(input, 2));
    length = more_precise(length, (*element.shape)[1]);
    element.shape->erase(element.shape->begin(), element.shape->begin() + 2);
    return element;
  }
  FEWBIT_ASSIGN(int64_t axis, c.normalize_axis(axis_of(c, "scan_input_axes", i), c.rank(input)));
  FEWBIT_TRY(c.check_dim(input, static_cast<size_t>(axis), length));
  length = more_precise(length, (*element.shape)[static_cast<size_t>(axis)]);
  element.shape->erase(element.shape->begin() + axis);
  return element;
}

Status scan(InferContext& c) {
  FEWBIT_ASSIGN(std::shared_ptr<Graph> body, c.required_graph("body"));
  FEWBIT_ASSIGN(int64_t scans, c.required_int("num_scan_inputs"));
  ScanLayout layout;
  layout.batched = c.opset() < 9;
  layout.first = layout.batched ? 1 : 0;
  size_t rest = c.input_count() - layout.first;
  if (scans < 1 || static_cast<size_t>(scans) > rest) {
    return bad_input("num_scan_inputs is {}, expected 1 to {}", scans, rest);
  }
  layout.scans = static_cast<size_t>(scans);
  layout.states = rest - layout.scans;
  FEWBIT_TRY(check_output_count(c, "body", body->outputs.size()));
  if (body->outputs.size() < layout.states) {
    return bad_input("sub-graph 'body' yields {} outputs, expected at least {} states",
                     body->outputs.size(), layout.states);
  }
  std::vector<ValueType> inputs;
  Dim batch;
  for (size_t i = 0; i < layout.states; ++i) {
    ValueType state = c.type(layout.first + i);
    if (layout.batched && state.shape && !state.shape->empty()) {
      batch = more_precise(batch, state.shape->front());
      state.shape->erase(state.shape->begin());
    }
    inputs.push_back(std::move(state));
  }
  Dim length;
  for (size_t i = 0; i < layout.scans; ++i) {
    const Shape* s = c.shape(layout.first + layout.states + i);
    if (layout.batched && s != nullptr && !s->empty()) batch = more_precise(batch, s->front());
    FEWBIT_ASSIGN(ValueType element, scan_element(c, layout, i, length));
    inputs.push_back(std::move(element));
  }
  FEWBIT_ASSIGN(SubgraphOutputs outputs, infer_body(c, *body, inputs, {}, 0, layout.states, 0));
  for (size_t i = 0; i < c.output_count(); ++i) {
    bool is_state = i < layout.states;
    ValueType out = is_state ? union_types(inputs[i], outputs.types[i]) : outputs.types[i];
    if (!is_state) {
      int64_t axis = layout.batched ? 0 : axis_of(c, "scan_output_axes", i - layout.states);
      out = with_dimension(out, axis, length);
    }
    c.set_type(i, layout.batched ? with_dimension(out, 0, batch) : out);
  }
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "If", 1, 1, 1, 1, -1, if_},
    {"", "Loop", 1, 3, -1, 1, -1, loop, true, 0b11},
    {"", "Loop", 11, 2, -1, 1, -1, loop, true, 0b11},
    {"", "Scan", 8, 2, -1, 1, -1, scan, false, 0b1},
    {"", "Scan", 9, 1, -1, 1, -1, scan},
};

}  // namespace

std::span<const SchemaRow> control_flow_rows() {
  return kRows;
}

}  // namespace fewbit::infer
