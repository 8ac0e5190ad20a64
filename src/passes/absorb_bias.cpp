#include "passes/absorb_bias.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "passes/layer_pairs.h"
#include "passes/placement.h"
#include "runtime/qdq/qdq.h"

namespace fewbit {
namespace {

// Sums over everything but the channel axis (the second one).
struct Moments {
  std::vector<double> sum, squares;
  double count = 0;  // for each channel

  void add(const Tensor& value) {
    if (value.type() != DType::kFloat32 || value.rank() < 2) return;
    auto channels = static_cast<size_t>(value.dim(1));
    sum.resize(channels);
    squares.resize(channels);
    int64_t inner = value.elements() / std::max<int64_t>(value.dim(0) * value.dim(1), 1);
    const auto* data = value.data<float>();
    for (int64_t n = 0; n < value.dim(0); ++n) {
      for (size_t c = 0; c < channels; ++c) {
        for (int64_t i = 0; i < inner; ++i, ++data) {
          sum[c] += *data;
          squares[c] += static_cast<double>(*data) * *data;
        }
      }
    }
    count += static_cast<double>(value.dim(0) * inner);
  }

  // mean - k deviations of channel c; 0 where nothing finite was seen.
  double low(size_t c, double k) const {
    if (count == 0) return 0;
    double mean = sum[c] / count;
    double variance = std::max(squares[c] / count - mean * mean, 0.0);
    double out = mean - k * std::sqrt(variance);
    return std::isfinite(out) ? out : 0;
  }
};

// Relu, Clip from 0, or Min with constants.
bool rectifies_or_bounds(const Graph& graph, const Node& node) {
  if (node.is("Min")) return node.inputs.size() == 2 && graph.constant(node.input(1)) != nullptr;
  auto bounds = clamp_bounds(graph, node);
  return bounds && bounds->first == 0 && bounds->second > 0;
}

bool pads(const Node& node) {
  if (!node.is("Conv")) return false;
  std::string automatic = node.get_string("auto_pad", "NOTSET");
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") return true;
  const std::vector<int64_t> list = node.get_ints("pads");
  return automatic == "NOTSET" &&
         std::any_of(list.begin(), list.end(), [](int64_t p) { return p != 0; });
}

// The upper bound of each channel behind the functions between the layers, or why there is none.
struct Bounds {
  std::vector<float> upper;
  std::string obstacle;
};
Bounds bounds_of(const Graph& graph, const LayerPair& pair) {
  Bounds out{std::vector<float>(static_cast<size_t>(pair.channels), INFINITY), ""};
  if (pair.between.empty() || graph.node(pair.between.front()).is("Min")) {
    out.obstacle = "no Relu or Clip stands between them";
    return out;
  }
  if (pads(graph.node(pair.second))) {
    out.obstacle = "the second one pads its input with zeros";
    return out;
  }
  if (pair.between.size() > 2 ||
      (pair.between.size() == 2 && !(graph.node(pair.between.front()).is("Relu") &&
                                     graph.node(pair.between.back()).is("Min")))) {
    out.obstacle = "more than a rectifier and a bound stand between them";
    return out;
  }
  const Node& last = graph.node(pair.between.back());
  if (last.is("Min")) {
    const Tensor& t = *graph.constant(last.input(1));
    if (t.type() != DType::kFloat32 || t.elements() != pair.channels || t.rank() < 2 ||
        t.dim(1) != pair.channels) {
      out.obstacle = fmt::format("the bound of '{}' is not one number for each channel", last.name);
      return out;
    }
    std::copy_n(t.data<float>(), t.elements(), out.upper.begin());
  } else {
    std::fill(out.upper.begin(), out.upper.end(), clamp_bounds(graph, last)->second);
  }
  return out;
}

// The bias of `node` as a constant of its own that nothing else reads: zeros where it had none.
void give_bias(Graph& graph, NodeId id, int64_t channels) {
  if (graph.node(id).input(2) != kNone) return;
  std::string stem = graph.value(graph.node(id).input(1)).name + "_bias";
  ValueId bias =
      graph.add_constant(graph.unique_name(stem), Tensor::zeros(DType::kFloat32, {channels}));
  Node& node = graph.node(id);
  node.inputs.resize(3, kNone);
  graph.set_input(id, 2, bias);
}

// b1 - c, b2 + W2 c.
void move_biases(Graph& graph, const LayerPair& pair, const std::vector<double>& c) {
  give_bias(graph, pair.first, pair.channels);
  give_bias(graph, pair.second, output_channels(graph, graph.node(pair.second)));
  const Node& second = graph.node(pair.second);
  WeightCopies weights(graph);
  float* b1 = weights.bias(graph.node(pair.first));
  for (size_t i = 0; i < c.size(); ++i) b1[i] = static_cast<float>(b1[i] - c[i]);
  std::vector<double> shift(static_cast<size_t>(output_channels(graph, second)), 0.0);
  for_each_weight(second, weights.of(second.input(1)), [&](int64_t row, int64_t ch, float w) {
    shift[static_cast<size_t>(row)] += w * c[static_cast<size_t>(ch)];
  });
  float* b2 = weights.bias(second);
  for (size_t i = 0; i < shift.size(); ++i) b2[i] = static_cast<float>(b2[i] + shift[i]);
  weights.store();
}

void lower_bounds(Graph& graph, const LayerPair& pair, std::vector<float> upper,
                  const std::vector<double>& c) {
  for (size_t i = 0; i < c.size(); ++i) upper[i] = static_cast<float>(upper[i] - c[i]);
  const Node& last = graph.node(pair.between.back());
  if (last.is("Clip")) {
    const Node& second = graph.node(pair.second);
    bound_each_channel(graph, pair.between.back(), upper,
                       second.is("Gemm") ? 2 : graph.constant(second.input(1))->rank());
  } else if (last.is("Min")) {
    Dims dims = graph.constant(last.input(1))->dims();
    graph.set_input(pair.between.back(), 1,
                    graph.add_constant(graph.unique_name(graph.value(last.input(1)).name),
                                       Tensor::from(dims, upper)));
  }
}

Status measure(const Model& model, const std::vector<LayerPair>& pairs, const BatchSource& batches,
               int threads, std::map<NodeId, Moments>& moments) {
  Listeners listeners;
  for (const LayerPair& pair : pairs) {
    Moments* m = &moments[pair.first];
    listeners.emplace(model.graph.value(model.graph.node(pair.first).output(0)).name,
                      [m](const Tensor& value) { m->add(value); });
  }
  SessionOptions options;
  options.threads = threads;
  FEWBIT_ASSIGN(Session session, Session::create(model, options));
  return stream(session, batches, listeners, "measure biases");
}

}  // namespace

Result<Absorbed> absorb_bias(Model& model, const BatchSource& batches,
                             const AbsorbOptions& options) {
  Graph& graph = model.graph;
  Absorbed out;
  std::vector<LayerPair> pairs;
  std::vector<std::vector<float>> bounds;
  for (LayerPair& pair : find_layer_pairs(graph, rectifies_or_bounds)) {
    Bounds b = bounds_of(graph, pair);
    if (!b.obstacle.empty()) {
      out.left_alone.push_back(fmt::format("{} -> {}: {}",
                                           layer_name(graph, graph.node(pair.first)),
                                           layer_name(graph, graph.node(pair.second)), b.obstacle));
      continue;
    }
    pairs.push_back(std::move(pair));
    bounds.push_back(std::move(b.upper));
  }
  if (pairs.empty()) return out;
  std::map<NodeId, Moments> moments;
  FEWBIT_TRY(measure(model, pairs, batches, options.threads, moments));
  for (size_t p = 0; p < pairs.size(); ++p) {
    const LayerPair& pair = pairs[p];
    std::vector<double> c(static_cast<size_t>(pair.channels), 0.0);
    int64_t high = 0;
    for (size_t i = 0; i < c.size(); ++i) {
      double low = moments.at(pair.first).low(i, options.deviations);
      c[i] = std::clamp(low, 0.0, static_cast<double>(bounds[p][i]));
      high += c[i] > 0 ? 1 : 0;
    }
    if (high == 0) continue;
    move_biases(graph, pair, c);
    lower_bounds(graph, pair, bounds[p], c);
    ++out.pairs;
    out.channels += high;
  }
  FEWBIT_TRY(graph.sort());
  return out;
}

}  // namespace fewbit
