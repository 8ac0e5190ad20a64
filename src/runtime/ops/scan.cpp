// Scan: a body over the slices of its inputs, with state. From opset 9 on each scanned input and
// output has its axis and direction; in opset 8 everything has a batch axis first, sequences are
// along axis 1, and their lengths may differ.

#include <algorithm>

#include "runtime/ops/slices.h"
#include "runtime/ops/subgraph.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

struct ScanProblem {
  const Graph* body;
  size_t states, scanned, collected;
  std::vector<int64_t> in_axes, in_reverse, out_axes, out_reverse;
};

// An attribute of `count` integers, zeros if it is absent.
Result<std::vector<int64_t>> read_list(const Node& node, std::string_view key, size_t count) {
  std::vector<int64_t> values = node.get_ints(key);
  if (values.empty()) values.assign(count, 0);
  if (values.size() == count) return values;
  return node_error(node, "{} has {} values, {} are needed", key, values.size(), count);
}

Result<ScanProblem> read_scan(const OpContext& ctx, size_t first_input) {
  const Node& node = ctx.node();
  ScanProblem p{};
  FEWBIT_ASSIGN(p.body, subgraph(ctx, "body"));
  const int64_t scanned = node.get_int("num_scan_inputs", 0);
  const auto inputs = static_cast<int64_t>(ctx.input_count() - first_input);
  if (scanned < 1 || scanned > inputs) {
    return node_error(node, "num_scan_inputs {} of {} inputs", scanned, inputs);
  }
  p.scanned = static_cast<size_t>(scanned);
  p.states = static_cast<size_t>(inputs - scanned);
  const size_t outputs = p.body->outputs.size();
  if (outputs < p.states || outputs != ctx.output_count()) {
    return node_error(node, "the body gives {} values for {} states and {} outputs", outputs,
                      p.states, ctx.output_count());
  }
  p.collected = outputs - p.states;
  FEWBIT_ASSIGN(p.in_axes, read_list(node, "scan_input_axes", p.scanned));
  FEWBIT_ASSIGN(
      p.in_reverse,
      read_list(node, first_input == 1 ? "directions" : "scan_input_directions", p.scanned));
  FEWBIT_ASSIGN(p.out_axes, read_list(node, "scan_output_axes", p.collected));
  FEWBIT_ASSIGN(p.out_reverse, read_list(node, "scan_output_directions", p.collected));
  return p;
}

struct ScanResult {
  std::vector<RuntimeValue> states;
  std::vector<std::vector<Tensor>> collected;
};

// `steps` runs of the body over the slices of `inputs` along their axes.
Result<ScanResult> run_scan(OpContext& ctx, const ScanProblem& p, std::vector<RuntimeValue> states,
                            const std::vector<Tensor>& inputs, int64_t steps) {
  ScanResult r{std::move(states), {}};
  r.collected.resize(p.collected);
  for (int64_t t = 0; t < steps; ++t) {
    std::vector<RuntimeValue> arguments = std::move(r.states);
    for (size_t i = 0; i < p.scanned; ++i) {
      const int64_t at = p.in_reverse[i] != 0 ? steps - 1 - t : t;
      FEWBIT_ASSIGN(Tensor slice, slice_at(ctx.node(), inputs[i], p.in_axes[i], at));
      arguments.emplace_back(std::move(slice));
    }
    FEWBIT_ASSIGN(auto results, run_subgraph(ctx, *p.body, std::move(arguments)));
    FEWBIT_CHECK(results.size() == p.states + p.collected, results.size());
    r.states.clear();
    for (size_t i = 0; i < p.states; ++i) r.states.push_back(std::move(results[i]));
    for (size_t i = 0; i < p.collected; ++i) {
      RuntimeValue& v = results[p.states + i];
      if (!v.is_tensor()) return node_error(ctx.node(), "scan output {} is no tensor", i);
      r.collected[i].push_back(std::move(v.tensor()));
    }
  }
  for (size_t i = 0; i < p.collected; ++i) {
    if (p.out_reverse[i] != 0) std::reverse(r.collected[i].begin(), r.collected[i].end());
  }
  return r;
}

Status scan(OpContext& ctx) {
  FEWBIT_ASSIGN(ScanProblem p, read_scan(ctx, 0));
  std::vector<RuntimeValue> states;
  std::vector<Tensor> inputs;
  int64_t steps = 0;
  for (size_t i = 0; i < p.states; ++i) states.push_back(ctx.in_value(i));
  for (size_t i = 0; i < p.scanned; ++i) {
    if (!ctx.has(p.states + i)) return node_error(ctx.node(), "scan input {} is missing", i);
    inputs.push_back(ctx.in(p.states + i));
    FEWBIT_ASSIGN(p.in_axes[i], normalize_axis(ctx.node(), p.in_axes[i], inputs[i].rank()));
    const int64_t extent = inputs[i].dim(p.in_axes[i]);
    if (i > 0 && extent != steps) {
      return node_error(ctx.node(), "scan inputs of {} and {} steps", steps, extent);
    }
    steps = extent;
  }
  FEWBIT_ASSIGN(ScanResult r, run_scan(ctx, p, std::move(states), inputs, steps));
  for (size_t i = 0; i < p.states; ++i) ctx.set_out(i, std::move(r.states[i]));
  for (size_t i = 0; i < p.collected; ++i) {
    Tensor all;
    if (r.collected[i].empty()) {
      FEWBIT_ASSIGN(all, empty_scan_output(ctx.node(), *p.body, p.states + i));
    } else {
      const int64_t rank = r.collected[i].front().rank() + 1;
      FEWBIT_ASSIGN(const int64_t axis, normalize_axis(ctx.node(), p.out_axes[i], rank));
      FEWBIT_ASSIGN(all, stack(ctx.node(), r.collected[i], axis));
    }
    ctx.set_out(p.states + i, std::move(all));
  }
  return {};
}

// Number of sequences, their steps (axis 1) and lengths, in opset 8.
struct BatchedScan {
  int64_t batch = 0, steps = 0;
  std::vector<int64_t> lengths;
};

Result<BatchedScan> read_batched(const OpContext& ctx, const ScanProblem& p) {
  BatchedScan s;
  for (size_t i = 1; i < ctx.input_count(); ++i) {
    const bool is_scanned = i > p.states;
    if (!ctx.has(i) || ctx.in(i).rank() < (is_scanned ? 2 : 1)) {
      return node_error(ctx.node(), "input {} has no batch", i);
    }
    const Dims& dims = ctx.in(i).dims();
    if (i > 1 && dims[0] != s.batch) {
      return node_error(ctx.node(), "batches of {} and {}", s.batch, dims[0]);
    }
    s.batch = dims[0];
    if (!is_scanned) continue;
    if (i > p.states + 1 && dims[1] != s.steps) {
      return node_error(ctx.node(), "scan inputs of {} and {} steps", s.steps, dims[1]);
    }
    s.steps = dims[1];
  }
  s.lengths.assign(static_cast<size_t>(s.batch), s.steps);
  if (!ctx.has(0)) return s;
  FEWBIT_ASSIGN(s.lengths, read_ints(ctx.node(), ctx.in(0), "sequence_lens"));
  bool fits = static_cast<int64_t>(s.lengths.size()) == s.batch;
  for (int64_t n : s.lengths) fits = fits && n >= 1 && n <= s.steps;
  if (!fits) return node_error(ctx.node(), "sequence_lens do not fit {} steps", s.steps);
  return s;
}

// Outputs of a shorter sequence end in zeros.
void pad_with_zeros(std::vector<Tensor>& parts, int64_t steps) {
  while (static_cast<int64_t>(parts.size()) < steps) {
    parts.push_back(Tensor::zeros(parts[0].type(), parts[0].dims()));
  }
}

Status scan_batched(OpContext& ctx) {
  FEWBIT_ASSIGN(const ScanProblem p, read_scan(ctx, 1));
  FEWBIT_ASSIGN(const BatchedScan s, read_batched(ctx, p));
  if (s.batch == 0 || s.steps == 0) return node_error(ctx.node(), "nothing to scan");
  std::vector<std::vector<Tensor>> outputs(p.states + p.collected);
  for (int64_t b = 0; b < s.batch; ++b) {
    std::vector<RuntimeValue> states;
    std::vector<Tensor> inputs;
    for (size_t i = 1; i < ctx.input_count(); ++i) {
      FEWBIT_ASSIGN(Tensor part, slice_at(ctx.node(), ctx.in(i), 0, b));
      if (i <= p.states) {
        states.emplace_back(std::move(part));
      } else {
        inputs.push_back(std::move(part));
      }
    }
    FEWBIT_ASSIGN(ScanResult r,
                  run_scan(ctx, p, std::move(states), inputs, s.lengths[static_cast<size_t>(b)]));
    for (size_t i = 0; i < p.states; ++i) {
      if (!r.states[i].is_tensor()) return node_error(ctx.node(), "state {} is no tensor", i);
      outputs[i].push_back(r.states[i].tensor());
    }
    for (size_t i = 0; i < p.collected; ++i) {
      pad_with_zeros(r.collected[i], s.steps);
      FEWBIT_ASSIGN(Tensor all, stack(ctx.node(), r.collected[i], 0));
      outputs[p.states + i].push_back(std::move(all));
    }
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    FEWBIT_ASSIGN(Tensor all, stack(ctx.node(), outputs[i], 0));
    ctx.set_out(i, std::move(all));
  }
  return {};
}

constexpr OpRow kRows[] = {
    {"", "Scan", 8, scan_batched},
    {"", "Scan", 9, scan},
};

}  // namespace

std::span<const OpRow> scan_table() {
  return kRows;
}

}  // namespace fewbit::ops
