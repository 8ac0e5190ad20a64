#include "flow/input_statistics.h"

#include <algorithm>

namespace fewbit {
namespace {

// Inputs that calibration never saw alive may live elsewhere: no weight counts less than this share
// of the layer's mean.
constexpr double kLeastShare = 0.01;

void raise_to_floor(std::vector<double>& importance) {
  double sum = 0;
  for (const double x : importance) sum += x;
  const double least = kLeastShare * sum / static_cast<double>(importance.size());
  for (double& x : importance) x = std::max(x, least);
}

}  // namespace

Status InputMeanListeners::listen(const Graph& graph, const Placement& placement,
                                  int64_t batch_limit, Listeners& listeners) {
  for (const LayerPlacement& layer : placement.layers) {
    if (!layer.weighted) continue;
    const Node& node = graph.node(layer.node);
    FEWBIT_ASSIGN(PatchGeometry geometry, patch_geometry(graph, node));
    LayerStatistics* s =
        &statistics_.emplace(layer.name, LayerStatistics(geometry, {})).first->second;
    listeners.emplace(graph.value(node.input(0)).name,
                      [s, left = batch_limit](const Tensor& v) mutable {
                        if (left-- > 0) s->add(v);
                      });
  }
  return {};
}

std::map<std::string, std::vector<double>> InputMeanListeners::means() const {
  std::map<std::string, std::vector<double>> out;
  for (const auto& [name, s] : statistics_) out[name] = s.means();
  return out;
}

Status InputSquareListeners::listen(const Graph& graph, Listeners& listeners) {
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const bool product = node.is("Conv") || node.is("Gemm") || node.is("MatMul");
    const ValueId input = node.input(0);
    const Tensor* weight = graph.constant(node.input(1));
    if (!product || weight == nullptr || input == kNone ||
        graph.value(input).type.elem != DType::kFloat32) {
      continue;
    }
    Result<PatchGeometry> geometry = patch_geometry(graph, node);
    if (!geometry.ok()) continue;  // weights of that kind all count alike
    Entry entry{LayerStatistics(*geometry, {}), weight->dim(0)};
    LayerStatistics* s =
        &entries_.emplace(layer_name(graph, node), std::move(entry)).first->second.squares;
    listeners.emplace(graph.value(input).name, [s](const Tensor& v) {
      Tensor squared = v.clone();
      for (float& x : squared.span<float>()) x *= x;
      s->add(squared);
    });
  }
  return {};
}

std::map<std::string, std::vector<float>> InputSquareListeners::importance() const {
  std::map<std::string, std::vector<float>> out;
  for (const auto& [name, entry] : entries_) {
    std::vector<double> means = entry.squares.means();
    raise_to_floor(means);
    std::vector<float> all(means.begin(), means.end());
    const PatchGeometry& g = entry.squares.geometry();
    std::vector<float>& importance = out[name];
    if (g.groups == 1) {
      importance = std::move(all);
      continue;
    }
    for (int64_t row = 0; row < entry.rows; ++row) {
      const auto begin = all.begin() + row / (entry.rows / g.groups) * g.group_elems();
      importance.insert(importance.end(), begin, begin + g.group_elems());
    }
  }
  return out;
}

}  // namespace fewbit
