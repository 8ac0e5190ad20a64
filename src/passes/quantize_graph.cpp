#include "passes/quantize_graph.h"

#include <algorithm>
#include <cmath>

#include "runtime/qdq/qdq.h"

namespace fewbit {
namespace {

// Bias codes stay this far inside int32, so that sums cannot overflow by the bias alone.
constexpr double kMaxBiasCode = 1 << 30;

class Writer {
 public:
  Writer(const Graph& graph, const Placement& placement, const Ranges& ranges,
         const QuantScheme& scheme)
      : placement_(placement), ranges_(ranges), scheme_(scheme) {
    out_.graph = graph;
  }

  Result<QuantizedGraph> run() {
    for (const auto& [value, source] : placement_.quantized) {
      FEWBIT_TRY(insert_quantizer(value, source));
    }
    for (const LayerPlacement& layer : placement_.layers) {
      // Weights of a format of the table are pack_weights' work.
      if (layer.weighted && !scheme_.weight_format) FEWBIT_TRY(quantize_layer(layer));
    }
    drop_absorbed();
    FEWBIT_TRY(out_.graph.sort());
    return std::move(out_);
  }

 private:
  Graph& graph() { return out_.graph; }

  // The opset that the Q and DQ nodes are written for is the model's; 16-bit codes need 21.
  int opset() const {
    int newest = 13;
    for (NodeId id : out_.graph.order()) {
      const Node& n = out_.graph.node(id);
      if (n.domain.empty()) newest = std::max(newest, n.opset);
    }
    return newest;
  }

  ValueId scalar_or_vector(const std::string& name, const std::vector<float>& values) {
    Dims dims = values.size() == 1 ? Dims{} : Dims{static_cast<int64_t>(values.size())};
    return graph().add_constant(graph().unique_name(name), Tensor::from(dims, values));
  }
  ValueId zero_points(const std::string& name, const std::vector<int32_t>& values, DType type) {
    Dims dims = values.size() == 1 ? Dims{} : Dims{static_cast<int64_t>(values.size())};
    Tensor t = Tensor::zeros(type, dims);
    for (size_t i = 0; i < values.size(); ++i) {
      if (bits_of(type) == 8) t.data<uint8_t>()[i] = static_cast<uint8_t>(values[i]);
      if (bits_of(type) == 16) t.data<uint16_t>()[i] = static_cast<uint16_t>(values[i]);
      if (bits_of(type) == 32) t.data<int32_t>()[i] = values[i];
    }
    return graph().add_constant(graph().unique_name(name), std::move(t));
  }

  Status insert_quantizer(ValueId value, ValueId source) {
    const std::string name = graph().value(value).name;
    const std::string source_name = original_name(source);
    auto range = ranges_.find(source_name);
    if (range == ranges_.end()) return bad_input("value '{}' was not calibrated", source_name);
    QuantParams params =
        params_for(range->second, scheme_.activation_type, scheme_.activation_symmetric);
    params_[value] = params;
    names_[value] = name;
    const ValueType float_type = graph().value(value).type;
    ValueId scale = scalar_or_vector(name + "_scale", params.scale);
    ValueId zero = zero_points(name + "_zero_point", params.zero, params.type);
    ValueId codes = graph().add_value(graph().unique_name(codes_name(name)),
                                      ValueType::tensor(params.type, float_type.shape));
    ValueId real = graph().add_value(graph().unique_name(dequantized_name(name)), float_type);
    codes_[value] = codes;
    graph().replace_uses(value, real);
    auto node = [&](const char* op, ValueId in, ValueId out) {
      Node n;
      n.op_type = op;
      n.opset = opset();
      n.name = graph().value(out).name;
      n.inputs = {in, scale, zero};
      n.outputs = {out};
      graph().add_node(std::move(n));
    };
    node("QuantizeLinear", value, codes);
    node("DequantizeLinear", codes, real);
    return {};
  }

  // replace_uses may have moved a graph output's name away from the float value.
  std::string original_name(ValueId value) const {
    auto it = names_.find(value);
    return it == names_.end() ? out_.graph.value(value).name : it->second;
  }

  // Weights as rows of one output channel each: [rows, elems], and back.
  struct Rows {
    int64_t rows, elems;
    bool transposed;  // stored [elems, rows]
    int64_t axis;
  };
  static Rows rows_of(const Node& node, const Tensor& w) {
    if (node.is("Conv")) return {w.dim(0), w.elements() / std::max<int64_t>(w.dim(0), 1), false, 0};
    bool transposed = !(node.is("Gemm") && node.get_int("transB", 0) != 0);
    if (transposed) return {w.dim(1), w.dim(0), true, 1};
    return {w.dim(0), w.dim(1), false, 0};
  }

  static std::vector<float> as_rows(const Tensor& w, const Rows& r) {
    auto values = w.span<float>();
    if (!r.transposed) return {values.begin(), values.end()};
    std::vector<float> out(values.size());
    for (int64_t k = 0; k < r.elems; ++k) {
      for (int64_t n = 0; n < r.rows; ++n) {
        out[static_cast<size_t>(n * r.elems + k)] = values[static_cast<size_t>(k * r.rows + n)];
      }
    }
    return out;
  }

  // Of the codes as they will be written: after fit_bias.
  static double sqnr_db(const std::vector<float>& rows, const IntegerCodes& codes) {
    double signal = 0;
    double noise = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      auto row = static_cast<int64_t>(i) / std::max<int64_t>(codes.elems, 1);
      double e = rows[i] -
                 static_cast<double>(codes.scale_of(row)) * (codes.codes[i] - codes.zero_of(row));
      signal += static_cast<double>(rows[i]) * rows[i];
      noise += e * e;
    }
    return noise > 0 ? 10 * std::log10(signal / noise) : INFINITY;
  }

  Status quantize_layer(const LayerPlacement& placed) {
    QuantizedLayer layer;
    layer.name = placed.name;
    layer.node = placed.node;
    layer.op_type = placed.op_type;
    const Node& node = graph().node(placed.node);
    ValueId weight_value = node.input(1);
    layer.weight = *graph().constant(weight_value);
    for (float w : layer.weight.span<float>()) {
      if (!std::isfinite(w)) {
        return bad_input("weight '{}' of {} holds NaN or infinity",
                         graph().value(weight_value).name, node.label());
      }
    }
    Rows r = rows_of(node, layer.weight);
    layer.rows = r.rows;
    find_input(layer, node.input(0));
    RoundToNearestOptions options;
    options.bits = scheme_.weight_bits;
    options.symmetric = scheme_.weight_symmetric;
    options.per_row = scheme_.weight_granularity == Granularity::kChannel;
    options.search_scale = scheme_.weight_range == "mse";
    IntegerCodes codes = round_to_nearest(as_rows(layer.weight, r), r.rows, r.elems, options);
    FEWBIT_TRY(read_bias(layer, node));
    fit_bias(layer, codes, r, options);
    layer.weight_sqnr_db = sqnr_db(as_rows(layer.weight, r), codes);
    write_weight(layer, codes, r, weight_value);
    write_bias(layer);
    out_.layers.push_back(std::move(layer));
    return {};
  }

  void find_input(QuantizedLayer& layer, ValueId real) {
    for (const auto& [value, codes] : codes_) {
      NodeId dq = graph().value(real).producer;
      if (dq != kNone && graph().node(dq).input(0) == codes) {
        layer.input = names_.at(value);
        layer.input_codes = codes;
        layer.input_params = params_.at(value);
        return;
      }
    }
    layer.input = graph().value(real).name;
  }

  Status read_bias(QuantizedLayer& layer, const Node& node) {
    layer.bias = Tensor::zeros(DType::kFloat32, {layer.rows});
    ValueId id = node.is("MatMul") ? kNone : node.input(2);
    if (id == kNone) return {};
    const Tensor* b = graph().constant(id);
    for (int64_t i = 0; i < layer.rows; ++i) {
      float v = b->data<float>()[b->elements() == 1 ? 0 : i];
      if (!std::isfinite(v)) {
        return bad_input("bias '{}' of {} holds NaN or infinity", graph().value(id).name,
                         node.label());
      }
      layer.bias.data<float>()[i] = v;
    }
    return {};
  }

  // The int32 bias has the scale of the products. Where a row's weights are so small that its bias
  // would not fit, the row's scale grows until it does.
  void fit_bias(const QuantizedLayer& layer, IntegerCodes& codes, const Rows& r,
                const RoundToNearestOptions& options) const {
    if (layer.input_codes == kNone) return;
    std::vector<float> rows;
    for (int64_t row = 0; row < r.rows; ++row) {
      double bias = std::abs(layer.bias.data<float>()[row]);
      double needed = bias / kMaxBiasCode / layer.input_params.scale[0];
      float& scale = codes.scale[codes.scale.size() == 1 ? 0 : static_cast<size_t>(row)];
      if (!(needed > scale)) continue;
      if (rows.empty()) rows = as_rows(layer.weight, r);
      scale = static_cast<float>(needed);
      int32_t top = (1 << (options.bits - 1)) - 1;
      int64_t first = codes.scale.size() == 1 ? 0 : row;
      int64_t last = codes.scale.size() == 1 ? r.rows : row + 1;
      for (int64_t i = first * r.elems; i < last * r.elems; ++i) {
        float q = std::nearbyintf(rows[static_cast<size_t>(i)] / scale) +
                  static_cast<float>(codes.zero_of(row));
        codes.codes[static_cast<size_t>(i)] = static_cast<int8_t>(std::clamp(
            q, static_cast<float>(-top - (options.symmetric ? 0 : 1)), static_cast<float>(top)));
      }
    }
  }

  void write_weight(QuantizedLayer& layer, const IntegerCodes& codes, const Rows& r,
                    ValueId weight_value) {
    const std::string name = graph().value(weight_value).name;
    Tensor t = Tensor::uninitialized(DType::kInt8, layer.weight.dims());
    for (int64_t row = 0; row < r.rows; ++row) {
      for (int64_t k = 0; k < r.elems; ++k) {
        int64_t place = r.transposed ? k * r.rows + row : row * r.elems + k;
        t.data<int8_t>()[place] = codes.codes[static_cast<size_t>(row * r.elems + k)];
      }
    }
    layer.weight_codes =
        graph().add_constant(graph().unique_name(name + "_quantized"), std::move(t));
    layer.weight_scale = codes.scale;
    layer.weight_zero = codes.zero;
    ValueId scale = scalar_or_vector(name + "_scale", codes.scale);
    ValueId zero = zero_points(name + "_zero_point", codes.zero, DType::kInt8);
    ValueId real = graph().add_value(graph().unique_name(name + "_dequantized"),
                                     ValueType::tensor(DType::kFloat32, shape_of(layer.weight)));
    Node dq;
    dq.op_type = "DequantizeLinear";
    dq.opset = opset();
    dq.name = graph().value(real).name;
    dq.inputs = {layer.weight_codes, scale, zero};
    dq.outputs = {real};
    if (codes.scale.size() > 1) dq.attributes["axis"] = r.axis;
    graph().add_node(std::move(dq));
    graph().set_input(layer.node, 1, real);
  }

  static Shape shape_of(const Tensor& t) {
    Shape shape;
    for (int64_t d : t.dims()) shape.push_back(Dim::of(d));
    return shape;
  }

  void write_bias(QuantizedLayer& layer) {
    // MatMul has no bias input; weight-only layers keep theirs in float.
    if (layer.op_type == "MatMul" || layer.input_codes == kNone) return;
    const std::string name = layer.name + "_bias";
    Tensor t = Tensor::uninitialized(DType::kInt32, {layer.rows});
    std::vector<float> scales;
    for (int64_t i = 0; i < layer.rows; ++i) {
      float w = layer.weight_scale[layer.weight_scale.size() == 1 ? 0 : static_cast<size_t>(i)];
      float scale = layer.input_params.scale[0] * w;
      if (layer.weight_scale.size() > 1 || i == 0) scales.push_back(scale);
      t.data<int32_t>()[i] = static_cast<int32_t>(
          std::nearbyint(layer.bias.data<float>()[i] / static_cast<double>(scale)));
    }
    layer.bias_codes = graph().add_constant(graph().unique_name(name + "_quantized"), std::move(t));
    ValueId scale = scalar_or_vector(name + "_scale", scales);
    std::vector<int32_t> zeros(scales.size(), 0);
    ValueId zero = zero_points(name + "_zero_point", zeros, DType::kInt32);
    ValueId real =
        graph().add_value(graph().unique_name(name + "_dequantized"),
                          ValueType::tensor(DType::kFloat32, Shape{Dim::of(layer.rows)}));
    Node dq;
    dq.op_type = "DequantizeLinear";
    dq.opset = opset();
    dq.name = graph().value(real).name;
    dq.inputs = {layer.bias_codes, scale, zero};
    dq.outputs = {real};
    if (scales.size() > 1) dq.attributes["axis"] = int64_t{0};
    graph().add_node(std::move(dq));
    graph().set_input(layer.node, 2, real);
  }

  // Relu and Clip in front of a quantizer whose codes cannot leave their bounds do nothing.
  void drop_absorbed() {
    for (const auto& [value, nodes] : placement_.absorbed) {
      auto params = params_.find(value);
      if (params == params_.end()) continue;
      for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
        const Node& node = graph().node(*it);
        auto full = code_range(params->second.type);
        auto range = clamp_codes(graph(), node, params->second, full);
        if (!range || *range != full) continue;
        ValueId in = node.input(0);
        ValueId out = node.output(0);
        graph().remove_node(*it);
        graph().replace_uses(out, in);
      }
    }
  }

  const Placement& placement_;
  const Ranges& ranges_;
  const QuantScheme& scheme_;
  QuantizedGraph out_;
  std::map<ValueId, QuantParams> params_;
  std::map<ValueId, ValueId> codes_;
  std::map<ValueId, std::string> names_;
};

}  // namespace

std::string codes_name(const std::string& name) {
  return name + "_QuantizeLinear_Output";
}
std::string dequantized_name(const std::string& name) {
  return name + "_DequantizeLinear_Output";
}

QuantParams params_for(const Range& range, DType type, bool symmetric) {
  auto [low, high] = code_range(type);
  QuantParams params;
  params.type = type;
  double from = std::min(range.low, 0.0F);
  double to = std::max(range.high, 0.0F);
  if (symmetric) {
    double m = std::max(-from, to);
    // Signed codes: -max .. max. Unsigned ones have their zero-point in the middle.
    int32_t middle = is_signed_integer(type) ? 0 : (high + 1) / 2;
    auto scale = static_cast<float>(m / (high - middle));
    params.scale = {scale > 1e-30F ? scale : 1.0F / static_cast<float>(high - middle)};
    params.zero = {middle};
    return params;
  }
  auto scale = static_cast<float>((to - from) / (high - low));
  if (!(scale > 1e-30F)) scale = 1.0F / static_cast<float>(high - low);
  double zero = std::nearbyint(low - from / scale);
  params.scale = {scale};
  params.zero = {
      static_cast<int32_t>(std::clamp(zero, static_cast<double>(low), static_cast<double>(high)))};
  return params;
}

Result<QuantizedGraph> quantize_graph(const Graph& graph, const Placement& placement,
                                      const Ranges& ranges, const QuantScheme& scheme) {
  return Writer(graph, placement, ranges, scheme).run();
}

}  // namespace fewbit
