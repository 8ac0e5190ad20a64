#include "passes/prepare.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "graph/infer.h"
#include "passes/upgrade_opset.h"
#include "runtime/rewrite/rewrite.h"

namespace fewbit {
namespace {

// What float arithmetic in another order may change, with room for deep networks.
constexpr double kRounding = 1e-3;
// Bias absorption cuts off values more than three deviations below their channel's mean. On
// MobileNetV1 that moved an output by 0.08 of the range; beyond this the data is not what it
// assumes.
constexpr double kAbsorption = 0.1;

struct Pass {
  std::string_view name;
  std::string_view what;
  bool (*enabled)(const PrepareOptions& options);
  Result<int> (*apply)(Model& model, const PrepareOptions& options,
                       std::vector<std::string>& notes);
  double tolerance = kRounding;
};

using Notes = std::vector<std::string>;

bool always(const PrepareOptions&) {
  return true;
}

Result<int> apply_absorb_bias(Model& model, const PrepareOptions& options, Notes& notes) {
  AbsorbOptions absorb;
  absorb.threads = options.threads;
  FEWBIT_ASSIGN(Absorbed absorbed, absorb_bias(model, options.calibration, absorb));
  notes = std::move(absorbed.left_alone);
  return absorbed.pairs;
}

Result<int> apply_upgrade_opset(Model& model, const PrepareOptions& options, Notes& notes) {
  const int from = model.onnx_opset();
  FEWBIT_ASSIGN(int rewritten, upgrade_opset(model, options.opset));
  notes.push_back(fmt::format("opset {} -> {}", from, options.opset));
  return rewritten;
}

constexpr Pass kPasses[] = {
    {"upgrade_opset", "nodes of an older operator set in the form of a newer one",
     [](const PrepareOptions& o) { return o.opset != 0; }, apply_upgrade_opset},
    {"fold_constants", "nodes of constants into constants", always,
     [](Model& m, const PrepareOptions&, Notes&) { return fold_constants(m.graph, {}, true); }},
    {"remove_dead_nodes", "nodes that no output needs; Identity; Dropout", always,
     [](Model& m, const PrepareOptions&, Notes&) { return remove_dead_nodes(m.graph, {}); }},
    {"fold_batch_norm", "batch normalisation into the weights before it",
     [](const PrepareOptions& o) { return o.fold_batch_norm; },
     [](Model& m, const PrepareOptions&, Notes&) { return fold_batch_norm(m.graph, {}); }},
    {"name_global_pools", "ReduceMean over space as GlobalAveragePool", always,
     [](Model& m, const PrepareOptions&, Notes&) { return name_global_pools(m.graph); }},
    {"equalize", "cross-layer equalization, clips kept exact",
     [](const PrepareOptions& o) { return o.equalize; },
     [](Model& m, const PrepareOptions& o, Notes&) { return equalize(m.graph, o.equalization); }},
    {"absorb_bias", "high biases into the layer behind; not exact",
     [](const PrepareOptions& o) { return o.absorb_bias; }, apply_absorb_bias, kAbsorption},
};

Result<std::vector<RuntimeValue>> run_probe(const Model& model, const PrepareOptions& options,
                                            const Feeds& probe) {
  SessionOptions session_options;
  session_options.threads = options.threads;
  FEWBIT_ASSIGN(Session session, Session::create(model, session_options));
  return session.run(probe);
}

double difference(const std::vector<RuntimeValue>& before, const std::vector<RuntimeValue>& after) {
  double worst = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    if (!before[i].is_tensor() || before[i].tensor().type() != DType::kFloat32) continue;
    auto a = std::as_const(before[i].tensor()).span<float>();
    auto b = std::as_const(after[i].tensor()).span<float>();
    double magnitude = 0;
    double largest = 0;
    for (size_t k = 0; k < a.size(); ++k) {
      if (!std::isfinite(a[k])) continue;
      if (!std::isfinite(b[k])) return INFINITY;
      magnitude = std::max(magnitude, std::abs(static_cast<double>(a[k])));
      largest = std::max(largest, std::abs(static_cast<double>(a[k]) - b[k]));
    }
    if (magnitude > 0) worst = std::max(worst, largest / magnitude);
  }
  return worst;
}

}  // namespace

Result<int> name_global_pools(Graph& graph) {
  int changed = 0;
  for (NodeId id : graph.order()) {
    Node& node = graph.node(id);
    if (!node.is("ReduceMean") || node.get_int("keepdims", 1) != 1) continue;
    const auto& shape = graph.value(node.input(0)).type.shape;
    if (!shape || shape->size() < 3) continue;
    std::vector<int64_t> axes = node.get_ints("axes");
    if (const Tensor* t = graph.constant(node.input(1));
        t != nullptr && t->type() == DType::kInt64) {
      auto values = t->span<int64_t>();
      axes.assign(values.begin(), values.end());
    }
    auto rank = static_cast<int64_t>(shape->size());
    for (int64_t& a : axes) a = a < 0 ? a + rank : a;
    std::sort(axes.begin(), axes.end());
    std::vector<int64_t> spatial;
    for (int64_t i = 2; i < rank; ++i) spatial.push_back(i);
    if (axes != spatial) continue;
    node.op_type = "GlobalAveragePool";
    node.attributes.clear();
    node.inputs.resize(1);
    ++changed;
  }
  return changed;
}

Result<std::vector<PassReport>> prepare(Model& model, const PrepareOptions& options,
                                        const Feeds& probe) {
  std::vector<PassReport> reports;
  FEWBIT_ASSIGN(std::vector<RuntimeValue> reference, run_probe(model, options, probe));
  for (const Pass& pass : kPasses) {
    if (!pass.enabled(options)) continue;
    auto start = std::chrono::steady_clock::now();
    PassReport report;
    report.name = pass.name;
    report.what = pass.what;
    report.exact = pass.tolerance == kRounding;
    FEWBIT_TRY(infer_graph(model.graph));
    std::optional<Model> before;
    if (!report.exact) before = model;
    auto changed = pass.apply(model, options, report.notes);
    if (!changed.ok()) return std::move(changed).error().with_context(pass.name);
    FEWBIT_TRY(model.graph.sort());
    report.changed = *changed;
    report.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (report.changed > 0) {
      FEWBIT_ASSIGN(std::vector<RuntimeValue> outputs, run_probe(model, options, probe));
      report.output_error = difference(reference, outputs);
      const bool tolerable = report.output_error <= pass.tolerance;
      if (!tolerable && report.exact) {
        return bad_input(
            "pass {} changed the outputs by {:.2g} of their range, more than rounding; "
            "switch it off and report the model",
            pass.name, report.output_error);
      }
      if (!tolerable) {
        model = std::move(*before);
        report.notes.push_back(fmt::format(
            "undone: it changed the outputs by {:.2g} of their range, at most {} is allowed",
            report.output_error, pass.tolerance));
        report.changed = 0;
      } else if (!report.exact) {
        // What an inexact pass changed is no fault of the passes behind it.
        reference = std::move(outputs);
      }
    }
    reports.push_back(std::move(report));
  }
  FEWBIT_TRY(infer_graph(model.graph));
  return reports;
}

}  // namespace fewbit
