// If, Loop and SequenceMap: operators that run the graphs in their attributes. Scan is in scan.cpp.

#include "runtime/ops/slices.h"
#include "runtime/ops/subgraph.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {

Result<const Graph*> subgraph(const OpContext& ctx, std::string_view key) {
  const auto* graph = ctx.node().get<std::shared_ptr<Graph>>(key);
  if (graph == nullptr || *graph == nullptr) {
    return node_error(ctx.node(), "the graph '{}' is missing", key);
  }
  return static_cast<const Graph*>(graph->get());
}

Result<std::vector<RuntimeValue>> run_subgraph(OpContext& ctx, const Graph& graph,
                                               std::vector<RuntimeValue> inputs) {
  FEWBIT_CHECK(static_cast<bool>(ctx.run_subgraph), ctx.node().label());
  if (graph.inputs.size() != inputs.size()) {
    return node_error(ctx.node(), "its graph '{}' takes {} inputs, {} are given", graph.name,
                      graph.inputs.size(), inputs.size());
  }
  return ctx.run_subgraph(graph, std::move(inputs));
}

Result<Tensor> empty_scan_output(const Node& node, const Graph& body, size_t output) {
  const ValueType& type = body.value(body.outputs[output]).type;
  Dims dims{0};
  if (type.shape) {
    for (const Dim& d : *type.shape) dims.push_back(d.known() ? d.value : 0);
  }
  if (type.elem == DType::kUndefined) {
    return node_error(node, "no iteration ran and the type of scan output {} is unknown", output);
  }
  return make_tensor(node, type.elem, dims);
}

namespace {

Result<bool> read_condition(const Node& node, const RuntimeValue& value) {
  if (!value.is_tensor() || value.tensor().type() != DType::kBool ||
      value.tensor().elements() != 1) {
    return node_error(node, "the condition must be one bool");
  }
  return value.tensor().data<bool>()[0];
}

Status if_(OpContext& ctx) {
  FEWBIT_ASSIGN(const bool condition, read_condition(ctx.node(), ctx.in_value(0)));
  FEWBIT_ASSIGN(const Graph* graph, subgraph(ctx, condition ? "then_branch" : "else_branch"));
  FEWBIT_ASSIGN(auto results, run_subgraph(ctx, *graph, {}));
  if (results.size() != ctx.output_count()) {
    return node_error(ctx.node(), "the branch gives {} values, {} are needed", results.size(),
                      ctx.output_count());
  }
  for (size_t i = 0; i < results.size(); ++i) ctx.set_out(i, std::move(results[i]));
  return {};
}

// What Loop carries from one iteration to the next, and what it collects.
struct LoopState {
  int64_t limit = INT64_MAX;
  bool go_on = true;
  std::vector<RuntimeValue> carried;
  std::vector<std::vector<Tensor>> scanned;
};

Result<LoopState> start_loop(const OpContext& ctx, const Graph& body) {
  LoopState s;
  if (ctx.has(0)) {
    FEWBIT_ASSIGN(s.limit, read_int(ctx.node(), ctx.in(0), "the trip count"));
  }
  if (ctx.has(1)) {
    FEWBIT_ASSIGN(s.go_on, read_condition(ctx.node(), ctx.in_value(1)));
  }
  for (size_t i = 2; i < ctx.input_count(); ++i) s.carried.push_back(ctx.in_value(i));
  const size_t outputs = body.outputs.size();
  if (outputs < s.carried.size() + 1 || outputs - 1 != ctx.output_count()) {
    return node_error(ctx.node(), "the body gives {} values for {} carried ones and {} outputs",
                      outputs, s.carried.size(), ctx.output_count());
  }
  s.scanned.resize(outputs - 1 - s.carried.size());
  return s;
}

Status iterate(OpContext& ctx, const Graph& body, int64_t iteration, LoopState& s) {
  std::vector<RuntimeValue> inputs{Tensor::scalar<int64_t>(iteration), Tensor::scalar(s.go_on)};
  for (RuntimeValue& v : s.carried) inputs.push_back(std::move(v));
  FEWBIT_ASSIGN(auto results, run_subgraph(ctx, body, std::move(inputs)));
  FEWBIT_CHECK(results.size() == body.outputs.size(), results.size());
  FEWBIT_ASSIGN(s.go_on, read_condition(ctx.node(), results[0]));
  for (size_t i = 0; i < s.carried.size(); ++i) s.carried[i] = std::move(results[1 + i]);
  for (size_t i = 0; i < s.scanned.size(); ++i) {
    RuntimeValue& v = results[1 + s.carried.size() + i];
    if (!v.is_tensor()) return node_error(ctx.node(), "scan output {} is no tensor", i);
    s.scanned[i].push_back(std::move(v.tensor()));
  }
  return {};
}

Status loop(OpContext& ctx) {
  FEWBIT_ASSIGN(const Graph* body, subgraph(ctx, "body"));
  FEWBIT_ASSIGN(LoopState s, start_loop(ctx, *body));
  for (int64_t i = 0; i < s.limit && s.go_on; ++i) FEWBIT_TRY(iterate(ctx, *body, i, s));
  const size_t carried = s.carried.size();
  for (size_t i = 0; i < carried; ++i) ctx.set_out(i, std::move(s.carried[i]));
  for (size_t i = 0; i < s.scanned.size(); ++i) {
    Tensor all;
    if (s.scanned[i].empty()) {
      FEWBIT_ASSIGN(all, empty_scan_output(ctx.node(), *body, 1 + carried + i));
    } else {
      FEWBIT_ASSIGN(all, stack(ctx.node(), s.scanned[i], 0));
    }
    ctx.set_out(carried + i, std::move(all));
  }
  return {};
}

// The body runs once per element of the first sequence; the other sequences go along, tensors stay.
Status sequence_map(OpContext& ctx) {
  FEWBIT_ASSIGN(const Graph* body, subgraph(ctx, "body"));
  if (!ctx.in_value(0).is_sequence()) return node_error(ctx.node(), "input 0 is no sequence");
  const size_t length = ctx.in_value(0).items().size();
  std::vector<std::vector<RuntimeValue>> collected(ctx.output_count());
  for (size_t i = 0; i < ctx.input_count(); ++i) {
    if (ctx.in_value(i).is_sequence() && ctx.in_value(i).items().size() != length) {
      return node_error(ctx.node(), "sequences of {} and {} elements", length,
                        ctx.in_value(i).items().size());
    }
  }
  for (size_t at = 0; at < length; ++at) {
    std::vector<RuntimeValue> inputs;
    for (size_t i = 0; i < ctx.input_count(); ++i) {
      const RuntimeValue& v = ctx.in_value(i);
      inputs.push_back(v.is_sequence() ? v.items()[at] : v);
    }
    FEWBIT_ASSIGN(auto results, run_subgraph(ctx, *body, std::move(inputs)));
    if (results.size() != collected.size()) {
      return node_error(ctx.node(), "the body gives {} values for {} outputs", results.size(),
                        collected.size());
    }
    for (size_t i = 0; i < results.size(); ++i) collected[i].push_back(std::move(results[i]));
  }
  for (size_t i = 0; i < collected.size(); ++i) {
    ctx.set_out(i, RuntimeValue::sequence(std::move(collected[i])));
  }
  return {};
}

constexpr OpRow kRows[] = {
    {"", "If", 1, if_},
    {"", "Loop", 1, loop},
    {"", "SequenceMap", 17, sequence_map},
};

}  // namespace

std::span<const OpRow> control_flow_table() {
  return kRows;
}

}  // namespace fewbit::ops
