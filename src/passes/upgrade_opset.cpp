#include "passes/upgrade_opset.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "graph/infer.h"
#include "numerics/convert.h"

namespace fewbit {
namespace {

// One node of one graph; all names of the model, so that a new one hides none of an outer graph.
struct Site {
  Graph& graph;
  NodeId id;
  std::set<std::string>& names;

  Node& node() const { return graph.node(id); }
  DType elem(size_t input) const {
    ValueId v = node().input(input);
    return v == kNone ? DType::kUndefined : graph.value(v).type.elem;
  }
  template <typename... Args>
  Error refuse(fmt::format_string<Args...> format, Args&&... args) const {
    return unsupported("{}: {}", node().label(), fmt::format(format, std::forward<Args>(args)...));
  }
  std::string fresh_name(const std::string& stem) const {
    std::string name = stem;
    for (int i = 2; !names.insert(name).second; ++i) name = fmt::format("{}_{}", stem, i);
    return name;
  }
  // Input `index` becomes a constant; inputs before it that are not there are left out.
  void set_constant(size_t index, const std::string& what, Tensor tensor) const {
    ValueId out = node().output(0);
    std::string stem = out == kNone ? node().op_type : graph.value(out).name;
    ValueId constant = graph.add_constant(fresh_name(stem + "_" + what), std::move(tensor));
    if (node().inputs.size() <= index) node().inputs.resize(index + 1, kNone);
    graph.set_input(id, index, constant);
  }
  void set_ints(size_t index, const std::string& what, const std::vector<int64_t>& values) const {
    set_constant(index, what, Tensor::from({static_cast<int64_t>(values.size())}, values));
  }
  void erase(std::string_view attribute) const {
    auto it = node().attributes.find(attribute);
    if (it != node().attributes.end()) node().attributes.erase(it);
  }
};

// A list of integers moves from an attribute to input `index`.
template <size_t index>
Status list_to_input(const Site& site, const char* attribute) {
  if (!site.node().has(attribute)) return {};
  std::vector<int64_t> values = site.node().get_ints(attribute);
  site.erase(attribute);
  // An empty list meant "all" or "none", as a missing one does.
  if (!values.empty()) site.set_ints(index, attribute, values);
  return {};
}
Status axes_to_input(const Site& site) {
  return list_to_input<1>(site, "axes");
}
Status split_to_input(const Site& site) {
  return list_to_input<1>(site, "split");
}

// Opset 18: without sizes the number of parts must be written down.
Status split_count(const Site& site) {
  if (site.node().input(1) != kNone) return {};
  site.node().attributes["num_outputs"] = static_cast<int64_t>(site.node().outputs.size());
  return {};
}

Status slice_to_inputs(const Site& site) {
  FEWBIT_TRY(list_to_input<1>(site, "starts"));
  FEWBIT_TRY(list_to_input<2>(site, "ends"));
  return list_to_input<3>(site, "axes");
}

Status k_to_input(const Site& site) {
  site.set_ints(1, "k", {site.node().get_int("k", 1)});
  site.erase("k");
  return {};
}

// A number moves from a float attribute to input `index`, in the element type of the data.
Status number_to_input(const Site& site, size_t index, const char* attribute) {
  const auto* value = site.node().get<float>(attribute);
  if (value == nullptr) return {};
  DType type = site.elem(0);
  if (type == DType::kUndefined) return site.refuse("the element type of its input is not known");
  FEWBIT_ASSIGN(Tensor number, cast(Tensor::scalar(*value), type));
  site.erase(attribute);
  site.set_constant(index, attribute, std::move(number));
  return {};
}
Status limits_to_inputs(const Site& site) {
  FEWBIT_TRY(number_to_input(site, 1, "min"));
  return number_to_input(site, 2, "max");
}
Status pads_to_inputs(const Site& site) {
  std::vector<int64_t> pads = site.node().get_ints("pads");
  site.erase("pads");
  site.set_ints(1, "pads", pads);
  if (site.node().get_float("value", 0) == 0) site.erase("value");
  return number_to_input(site, 2, "value");
}

Status no_spatial(const Site& site) {
  if (site.node().get_int("spatial", 1) == 0) {
    return site.refuse("one mean for every position (spatial = 0) ended with opset 9");
  }
  site.erase("spatial");
  return {};
}

bool has_second_output(const Node& node) {
  return std::any_of(node.outputs.begin() + 1, node.outputs.end(),
                     [](ValueId v) { return v != kNone; });
}
Status only_inference(const Site& site) {
  if (has_second_output(site.node())) {
    return site.refuse("outputs of its training form are read");
  }
  return {};
}
// Until opset 12 a Dropout never drops anything at inference.
Status no_ratio(const Site& site) {
  if (site.node().opset < 10 && has_second_output(site.node())) {
    return site.refuse("its mask is read, whose type changed with opset 10");
  }
  site.erase("ratio");
  return {};
}

Status no_batched_scan(const Site& site) {
  return site.refuse("the form of opset 8, with a batch axis, has no equivalent");
}

Status scales_to_input(const Site& site) {
  std::vector<float> scales = site.node().get_floats("scales");
  site.erase("scales");
  site.set_constant(1, "scales", Tensor::from({static_cast<int64_t>(scales.size())}, scales));
  return {};
}
Status upsample_is_resize(const Site& site) {
  site.node().op_type = "Resize";
  return {};
}

// Before opset 11 there was one way: x / scale, rounded down. Where a nearest neighbour's position
// is no whole number, implementations differed when scaling down.
Status resize_as_before(const Site& site) {
  Node& node = site.node();
  if (node.get_string("mode", "nearest") == "nearest") {
    const Tensor* scales = site.graph.constant(node.input(1));
    if (scales == nullptr || scales->type() != DType::kFloat32) {
      return site.refuse("its scales are not constant");
    }
    for (float s : scales->span<float>()) {
      int exponent = 0;
      if (!(s >= 1) && std::frexp(s, &exponent) != 0.5F) {
        return site.refuse("scaling down by {} was not defined before opset 11", s);
      }
    }
    node.attributes["nearest_mode"] = std::string("floor");
  }
  node.attributes["coordinate_transformation_mode"] = std::string("asymmetric");
  ValueId scales = node.input(1);
  node.inputs.resize(3, kNone);
  node.inputs[1] = kNone;  // the region of interest
  site.graph.set_input(site.id, 2, scales);
  return {};
}
Status known_resize_mode(const Site& site) {
  if (site.node().get_string("coordinate_transformation_mode", "") == "tf_half_pixel_for_nn") {
    return site.refuse("coordinate_transformation_mode 'tf_half_pixel_for_nn' ended with opset 13");
  }
  return {};
}

Status scatter_elements(const Site& site) {
  site.node().op_type = "ScatterElements";
  return {};
}

// Opset 13: along one axis (default: the last), before over everything from `axis` on (default 1)
// as one row. The same where that is the last axis; else Flatten -> operator -> Reshape.
Status along_last_axis(const Site& site) {
  Graph& graph = site.graph;
  const Node old = site.node();
  int64_t axis = old.get_int("axis", 1);
  const auto& shape = graph.value(old.input(0)).type.shape;
  auto rank = shape ? static_cast<int64_t>(shape->size()) : -1;
  site.node().attributes["axis"] = int64_t{-1};
  if (axis == -1 || axis + 1 == rank) return {};
  DType type = site.elem(0);
  auto value = [&](const char* what, DType elem) {
    return graph.add_value(site.fresh_name(graph.value(old.output(0)).name + what),
                           ValueType::tensor(elem));
  };
  auto add = [&](const char* op, std::vector<ValueId> inputs, ValueId out) -> Node& {
    Node n;
    n.op_type = op;
    n.opset = 13;
    n.name = graph.value(out).name;
    n.inputs = std::move(inputs);
    n.outputs = {out};
    return graph.node(graph.add_node(std::move(n)));
  };
  ValueId rows = value("_rows", type);
  ValueId result = value("_of_rows", type);
  ValueId dims = value("_dims", DType::kInt64);
  ValueId out = old.output(0);
  Node moved = site.node();
  graph.remove_node(site.id);
  add("Flatten", {old.input(0)}, rows).attributes["axis"] = axis;
  add("Shape", {old.input(0)}, dims);
  moved.opset = 13;
  moved.inputs = {rows};
  moved.outputs = {result};
  graph.add_node(std::move(moved));
  add("Reshape", {result, dims}, out);
  return {};
}

Status old_roi_mode(const Site& site) {
  site.node().attributes["coordinate_transformation_mode"] = std::string("output_half_pixel");
  return {};
}

Status grid_mode(const Site& site) {
  std::string mode = site.node().get_string("mode", "bilinear");
  if (mode == "bilinear") mode = "linear";
  if (mode == "bicubic") mode = "cubic";
  site.node().attributes["mode"] = mode;
  return {};
}

Status dft_axis(const Site& site) {
  int64_t axis = site.node().get_int("axis", 1);
  site.erase("axis");
  site.set_constant(2, "axis", Tensor::scalar(axis));
  return {};
}

Status no_scale_per_group(const Site& site) {
  return site.refuse("one scale for each group ended with opset 21");
}

// In the order in which the versions came: what `since` changed for nodes written before it.
struct Change {
  std::string_view op_type;
  int since;
  Status (*apply)(const Site& site);
};
constexpr Change kChanges[] = {
    {"BatchNormalization", 9, no_spatial},
    {"Scan", 9, no_batched_scan},
    {"Upsample", 9, scales_to_input},
    {"Slice", 10, slice_to_inputs},
    {"TopK", 10, k_to_input},
    {"Upsample", 10, upsample_is_resize},
    {"Clip", 11, limits_to_inputs},
    {"Pad", 11, pads_to_inputs},
    {"Resize", 11, resize_as_before},
    {"Scatter", 11, scatter_elements},
    {"Dropout", 12, no_ratio},
    {"Hardmax", 13, along_last_axis},
    {"LogSoftmax", 13, along_last_axis},
    {"ReduceSum", 13, axes_to_input},
    {"Resize", 13, known_resize_mode},
    {"Softmax", 13, along_last_axis},
    {"Split", 13, split_to_input},
    {"Squeeze", 13, axes_to_input},
    {"Unsqueeze", 13, axes_to_input},
    {"BatchNormalization", 14, only_inference},
    {"RoiAlign", 16, old_roi_mode},
    {"ReduceL1", 18, axes_to_input},
    {"ReduceL2", 18, axes_to_input},
    {"ReduceLogSum", 18, axes_to_input},
    {"ReduceLogSumExp", 18, axes_to_input},
    {"ReduceMax", 18, axes_to_input},
    {"ReduceMean", 18, axes_to_input},
    {"ReduceMin", 18, axes_to_input},
    {"ReduceProd", 18, axes_to_input},
    {"ReduceSumSquare", 18, axes_to_input},
    {"Split", 18, split_count},
    {"DFT", 20, dft_axis},
    {"GridSample", 20, grid_mode},
    {"GroupNormalization", 21, no_scale_per_group},
};

template <typename Visit>
void for_each_subgraph(Node& node, Visit&& visit) {
  for (auto& [key, attribute] : node.attributes) {
    if (auto* one = std::get_if<std::shared_ptr<Graph>>(&attribute)) visit(**one);
    if (auto* many = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute)) {
      for (auto& g : *many) visit(*g);
    }
  }
}

void collect_names(Graph& graph, std::set<std::string>& names) {
  for (size_t i = 0; i < graph.value_count(); ++i) {
    names.insert(graph.value(static_cast<ValueId>(i)).name);
  }
  for (NodeId id : graph.order()) {
    for_each_subgraph(graph.node(id), [&](Graph& g) { collect_names(g, names); });
  }
}

class Upgrader {
 public:
  Upgrader(int target, std::set<std::string> names) : target_(target), names_(std::move(names)) {}

  Status graph(Graph& g) {
    const std::vector<NodeId> order = g.order();
    for (NodeId id : order) {
      Status status;
      for_each_subgraph(g.node(id), [&](Graph& inner) {
        if (status.ok()) status = graph(inner);
      });
      FEWBIT_TRY(std::move(status));
      FEWBIT_TRY(node(g, id));
    }
    return g.sort();
  }
  int rewritten() const { return rewritten_; }

 private:
  Status node(Graph& g, NodeId id) {
    if (!g.node(id).domain.empty() || g.node(id).opset >= target_) return {};
    const int from = g.node(id).opset;
    bool changed = false;
    for (const Change& change : kChanges) {
      if (change.since <= from || change.since > target_) continue;
      if (!g.is_live(id) || g.node(id).op_type != change.op_type) continue;
      FEWBIT_TRY(change.apply({g, id, names_}));
      changed = true;
    }
    rewritten_ += changed ? 1 : 0;
    if (!g.is_live(id)) return {};
    Node& n = g.node(id);
    n.opset = target_;
    if (find_schema("", n.op_type, target_) == nullptr) {
      return unsupported("{}: operator set {} has no such operator", n.label(), target_);
    }
    return {};
  }

  int target_;
  std::set<std::string> names_;
  int rewritten_ = 0;
};

// The first IR version that came with the operator set.
int64_t ir_version_of(int opset) {
  if (opset >= 25) return 13;
  return opset >= 21 ? 10 : opset >= 19 ? 9 : 7;
}

}  // namespace

Result<int> upgrade_opset(Model& model, int target) {
  FEWBIT_CHECK(target >= 13 && target <= 25, target);
  const int from = model.onnx_opset();
  if (from < kOldestUpgradable) {
    return unsupported("the model has opset {}; it can be upgraded from {} on", from,
                       kOldestUpgradable);
  }
  Graph graph = model.graph;
  std::set<std::string> names;
  collect_names(graph, names);
  Upgrader upgrader(target, std::move(names));
  FEWBIT_TRY(upgrader.graph(graph));
  if (model.ir_version < 4) {
    std::erase_if(graph.inputs, [&](ValueId id) { return graph.value(id).is_constant(); });
  }
  model.graph = std::move(graph);
  model.opsets[""] = std::max(from, target);
  model.ir_version = std::max<int64_t>(model.ir_version, ir_version_of(target));
  return upgrader.rewritten();
}

}  // namespace fewbit
