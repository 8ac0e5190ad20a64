#include "passes/correct_bias.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "calib/layer_statistics.h"

namespace fewbit {
namespace {

// Dequantized weight of row r at position k, in the layout of the float weight.
struct WeightView {
  const QuantizedLayer& layer;
  const Tensor& codes;
  int64_t elems;    // per row
  bool transposed;  // [elems, rows]

  int64_t place(int64_t row, int64_t k) const {
    return transposed ? k * layer.rows + row : row * elems + k;
  }
  double original(int64_t row, int64_t k) const { return layer.weight.data<float>()[place(row, k)]; }
  double quantized(int64_t row, int64_t k) const {
    auto i = layer.weight_scale.size() == 1 ? 0 : static_cast<size_t>(row);
    return layer.weight_scale[i] *
           (codes.data<int8_t>()[place(row, k)] - static_cast<double>(layer.weight_zero[i]));
  }
};

WeightView view_of(const Graph& graph, const QuantizedLayer& layer) {
  const Node& node = graph.node(layer.node);
  bool transposed = !node.is("Conv") && !(node.is("Gemm") && node.get_int("transB", 0) != 0);
  return {layer, *graph.constant(layer.weight_codes), layer.weight.elements() / layer.rows,
          transposed};
}

// Adds `delta` (real units) to the bias of row r; returns the new codes.
void shift_bias(Tensor& bias, const QuantizedLayer& layer, int64_t row, double delta) {
  auto i = layer.weight_scale.size() == 1 ? 0 : static_cast<size_t>(row);
  double scale = static_cast<double>(layer.input_params.scale[0]) * layer.weight_scale[i];
  double code = bias.data<int32_t>()[row] + std::nearbyint(delta / scale);
  constexpr double kLimit = 1 << 30;
  bias.data<int32_t>()[row] = static_cast<int32_t>(std::clamp(code, -kLimit, kLimit));
}

// group of an output row, and where its means start
size_t mean_offset(const PatchGeometry& g, int64_t rows, int64_t row) {
  int64_t group = row / (rows / g.groups);
  return static_cast<size_t>(group * g.group_elems());
}

Status correct_weight_error(Graph& graph, const std::vector<QuantizedLayer>& layers,
                            const InputMeans& means) {
  for (const QuantizedLayer& layer : layers) {
    if (layer.bias_codes == kNone || layer.input_codes == kNone) continue;
    FEWBIT_ASSIGN(PatchGeometry g, patch_geometry(graph, graph.node(layer.node)));
    WeightView w = view_of(graph, layer);
    const std::vector<double>& mean = means.at(layer.name);
    Tensor bias = graph.constant(layer.bias_codes)->clone();
    for (int64_t row = 0; row < layer.rows; ++row) {
      size_t offset = mean_offset(g, layer.rows, row);
      double delta = 0;
      for (int64_t k = 0; k < w.elems; ++k) {
        delta += (w.original(row, k) - w.quantized(row, k)) * mean[offset + static_cast<size_t>(k)];
      }
      shift_bias(bias, layer, row, delta);
    }
    graph.value(layer.bias_codes).constant = std::make_shared<const Tensor>(std::move(bias));
  }
  return {};
}

Status correct_measured(Model& model, const std::vector<QuantizedLayer>& layers,
                        const InputMeans& means, const BatchSource& batches, int threads) {
  Graph& graph = model.graph;
  std::map<std::string, LayerStatistics> stats;
  Listeners listeners;
  for (const QuantizedLayer& layer : layers) {
    if (layer.bias_codes == kNone) continue;
    FEWBIT_ASSIGN(PatchGeometry geometry, patch_geometry(graph, graph.node(layer.node)));
    LayerStatistics* s =
        &stats.emplace(layer.name, LayerStatistics(geometry, {})).first->second;
    const QuantParams& p = layer.input_params;
    listeners.emplace(graph.value(layer.input_codes).name, [s, &p](const Tensor& codes) {
      s->add_codes(codes, p.scale[0], p.zero[0]);
    });
  }
  SessionOptions options;
  options.threads = threads;
  FEWBIT_ASSIGN(Session session, Session::create(model, options));
  FEWBIT_TRY(stream(session, batches, listeners, "correct bias"));
  for (const QuantizedLayer& layer : layers) {
    if (layer.bias_codes == kNone) continue;
    WeightView w = view_of(graph, layer);
    const LayerStatistics& measured = stats.at(layer.name);
    const std::vector<double>& mean = means.at(layer.name);
    std::vector<double> seen = measured.means();
    Tensor bias = graph.constant(layer.bias_codes)->clone();
    for (int64_t row = 0; row < layer.rows; ++row) {
      size_t offset = mean_offset(measured.geometry(), layer.rows, row);
      auto i = layer.weight_scale.size() == 1 ? 0 : static_cast<size_t>(row);
      double scale = static_cast<double>(layer.input_params.scale[0]) * layer.weight_scale[i];
      double wanted = layer.bias.data<float>()[row];
      double found = bias.data<int32_t>()[row] * scale;
      for (int64_t k = 0; k < w.elems; ++k) {
        size_t m = offset + static_cast<size_t>(k);
        wanted += w.original(row, k) * mean[m];
        found += w.quantized(row, k) * seen[m];
      }
      shift_bias(bias, layer, row, wanted - found);
    }
    graph.value(layer.bias_codes).constant = std::make_shared<const Tensor>(std::move(bias));
  }
  return {};
}

}  // namespace

Status correct_bias(Model& model, const std::vector<QuantizedLayer>& layers,
                    const InputMeans& float_means, const BatchSource& batches, int rounds,
                    int threads) {
  FEWBIT_TRY(correct_weight_error(model.graph, layers, float_means));
  for (int round = 1; round < rounds; ++round) {
    FEWBIT_TRY(correct_measured(model, layers, float_means, batches, threads));
  }
  return {};
}

}  // namespace fewbit
