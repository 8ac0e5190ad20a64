#include "passes/quantize_dynamic.h"

#include <algorithm>
#include <cmath>

namespace fewbit {
namespace {

// The smallest range that still gives a normal float as scale: rows of zeros divide by it.
constexpr float kSmallestRange = 1e-30F;

class DynamicWriter {
 public:
  DynamicWriter(const Graph& graph, const QuantScheme& scheme)
      : scheme_(scheme),
        symmetric_(scheme.activation_symmetric || scheme.activation_type == DType::kInt8) {
    out_.graph = graph;
    for (NodeId id : graph.order()) {
      const Node& n = graph.node(id);
      if (n.domain.empty()) opset_ = std::max(opset_, n.opset);
    }
  }

  Result<QuantizedGraph> run(const Placement& placement) {
    if (!scheme_.per_token && symmetric_) {
      return misuse(
          "scheme '{}': one scale per tensor is asymmetric uint8; symmetric int8 goes with "
          ":token",
          scheme_.name());
    }
    for (const LayerPlacement& layer : placement.layers) {
      if (layer.weighted) FEWBIT_TRY(quantize_layer(layer));
    }
    FEWBIT_TRY(out_.graph.sort());
    return std::move(out_);
  }

 private:
  // What a quantized input offers to the products behind it.
  struct Codes {
    ValueId codes, scale;
    ValueId zero = kNone;  // scalar uint8 per tensor; [..., 1] int32 per token, asymmetric
  };

  Graph& graph() { return out_.graph; }

  ValueId constant(const std::string& name, Tensor tensor) {
    return graph().add_constant(graph().unique_name(name), std::move(tensor));
  }
  ValueId fresh(const std::string& name, DType type) {
    return graph().add_value(graph().unique_name(name), ValueType::tensor(type));
  }
  // Adds a node; its name is its first output's.
  NodeId add(const char* op, std::vector<ValueId> inputs, std::vector<ValueId> outputs) {
    Node n;
    n.op_type = op;
    n.opset = opset_;
    n.name = graph().value(outputs.front()).name;
    n.inputs = std::move(inputs);
    n.outputs = std::move(outputs);
    return graph().add_node(std::move(n));
  }
  ValueId compute(const char* op, std::vector<ValueId> inputs, const std::string& name,
                  DType type = DType::kFloat32) {
    ValueId out = fresh(name, type);
    add(op, std::move(inputs), {out});
    return out;
  }
  ValueId cast(ValueId in, DType to, const std::string& name) {
    ValueId out = fresh(name, to);
    graph().node(add("Cast", {in}, {out})).attributes["to"] = static_cast<int64_t>(to);
    return out;
  }
  // Over the last axis, kept. The axes are an attribute before opset 18 and an input since.
  ValueId reduce(const char* op, ValueId in, const std::string& name) {
    ValueId out = fresh(name, DType::kFloat32);
    std::vector<ValueId> inputs{in};
    if (opset_ >= 18)
      inputs.push_back(shared("last_axis", Tensor::from({1}, std::vector<int64_t>{-1})));
    Node& node = graph().node(add(op, std::move(inputs), {out}));
    node.attributes["keepdims"] = int64_t{1};
    if (opset_ < 18) node.attributes["axes"] = std::vector<int64_t>{-1};
    return out;
  }
  // A constant that all layers use.
  ValueId shared(const std::string& name, Tensor tensor) {
    auto it = constants_.find(name);
    if (it == constants_.end())
      it = constants_.emplace(name, constant(name, std::move(tensor))).first;
    return it->second;
  }
  ValueId scalar(const std::string& name, float v) { return shared(name, Tensor::scalar(v)); }

  // Layers that read the same value share its codes.
  const Codes& codes_of(ValueId x) {
    auto it = codes_.find(x);
    if (it != codes_.end()) return it->second;
    const std::string name = graph().value(x).name;
    Codes c = !scheme_.per_token ? per_tensor(x, name)
              : symmetric_       ? per_token_symmetric(x, name)
                                 : per_token_asymmetric(x, name);
    return codes_.emplace(x, c).first->second;
  }

  Codes per_tensor(ValueId x, const std::string& name) {
    Codes c{fresh(name + "_quantized", DType::kUint8), fresh(name + "_scale", DType::kFloat32),
            fresh(name + "_zero_point", DType::kUint8)};
    add("DynamicQuantizeLinear", {x}, {c.codes, c.scale, c.zero});
    return c;
  }

  Codes per_token_symmetric(ValueId x, const std::string& name) {
    ValueId most = reduce("ReduceMax", compute("Abs", {x}, name + "_abs"), name + "_absmax");
    most = compute("Max", {most, scalar("smallest_range", kSmallestRange)}, name + "_range");
    Codes c{};
    c.scale = compute("Div", {most, scalar("steps_127", 127)}, name + "_scale");
    ValueId scaled = compute("Div", {x, c.scale}, name + "_scaled");
    c.codes =
        cast(compute("Round", {scaled}, name + "_rounded"), DType::kInt8, name + "_quantized");
    return c;
  }

  Codes per_token_asymmetric(ValueId x, const std::string& name) {
    ValueId none = scalar("zero", 0);
    ValueId least = compute("Min", {reduce("ReduceMin", x, name + "_min"), none}, name + "_low");
    ValueId most = compute("Max", {reduce("ReduceMax", x, name + "_max"), none}, name + "_high");
    ValueId span = compute("Sub", {most, least}, name + "_span");
    span = compute("Max", {span, scalar("smallest_range", kSmallestRange)}, name + "_range");
    Codes c{};
    c.scale = compute("Div", {span, scalar("steps_255", 255)}, name + "_scale");
    ValueId zero =
        compute("Div", {compute("Neg", {least}, name + "_depth"), c.scale}, name + "_zero_scaled");
    zero = compute("Round", {zero}, name + "_zero_rounded");
    ValueId q = compute("Div", {x, c.scale}, name + "_scaled");
    q = compute("Round", {q}, name + "_rounded");
    q = compute("Add", {q, zero}, name + "_shifted");
    q = compute("Clip", {q, none, scalar("steps_255", 255)}, name + "_clipped");
    c.codes = cast(q, DType::kUint8, name + "_quantized");
    c.zero = cast(zero, DType::kInt32, name + "_zero_point");
    return c;
  }

  // A weight as [k, n] codes, whatever way round it was stored.
  struct Weight {
    int64_t k = 0, n = 0;
    ValueId codes = kNone, scale = kNone, zero = kNone;
    ValueId column_sums = kNone;  // of codes less their zero-point, int32 [n]; asymmetric per token
    IntegerCodes integers;
  };

  Result<Weight> quantize_weight(const Node& node) {
    const Tensor& w = *graph().constant(node.input(1));
    const std::string name = graph().value(node.input(1)).name;
    const bool transposed = node.is("Gemm") && node.get_int("transB", 0) != 0;
    Weight out;
    out.k = w.dim(transposed ? 1 : 0);
    out.n = w.dim(transposed ? 0 : 1);
    auto values = w.span<float>();
    std::vector<float> rows(values.size());  // [n, k]
    for (int64_t i = 0; i < w.elements(); ++i) {
      float v = values[static_cast<size_t>(i)];
      if (!std::isfinite(v)) {
        return bad_input("weight '{}' of {} holds NaN or infinity", name, node.label());
      }
      rows[static_cast<size_t>(transposed ? i : i % out.n * out.k + i / out.n)] = v;
    }
    RoundToNearestOptions options;
    options.bits = scheme_.weight_bits;
    options.symmetric = scheme_.weight_symmetric;
    options.per_row = scheme_.weight_granularity == Granularity::kChannel;
    options.search_scale = scheme_.weight_range == "mse";
    out.integers = round_to_nearest(rows, out.n, out.k, options);
    write_weight(out, name);
    return out;
  }

  void write_weight(Weight& w, const std::string& name) {
    Tensor codes = Tensor::uninitialized(DType::kInt8, {w.k, w.n});
    Tensor sums = Tensor::zeros(DType::kInt32, {w.n});
    for (int64_t row = 0; row < w.n; ++row) {
      for (int64_t i = 0; i < w.k; ++i) {
        int8_t code = w.integers.codes[static_cast<size_t>(row * w.k + i)];
        codes.data<int8_t>()[i * w.n + row] = code;
        sums.data<int32_t>()[row] += code - w.integers.zero_of(row);
      }
    }
    Dims dims = w.integers.scale.size() == 1 ? Dims{} : Dims{w.n};
    Tensor zero = Tensor::zeros(DType::kInt8, dims);
    for (size_t i = 0; i < w.integers.zero.size(); ++i) {
      zero.data<int8_t>()[i] = static_cast<int8_t>(w.integers.zero[i]);
    }
    w.codes = constant(name + "_quantized", std::move(codes));
    w.scale = constant(name + "_scale", Tensor::from(dims, w.integers.scale));
    w.zero = constant(name + "_zero_point", std::move(zero));
    if (scheme_.per_token && !symmetric_) {
      w.column_sums = constant(name + "_column_sums", std::move(sums));
    }
  }

  // The bias as a vector of n (the form that fuses), or kNone.
  Result<ValueId> bias_of(const Node& node, int64_t n, Tensor& values) {
    values = Tensor::zeros(DType::kFloat32, {n});
    ValueId id = node.is("Gemm") ? node.input(2) : kNone;
    if (id == kNone) return id;
    const Tensor& b = *graph().constant(id);
    std::copy_n(b.data<float>(), n, values.data<float>());
    for (float v : values.span<float>()) {
      if (!std::isfinite(v)) {
        return bad_input("bias '{}' of {} holds NaN or infinity", graph().value(id).name,
                         node.label());
      }
    }
    if (b.rank() == 1) return id;
    return constant(graph().value(id).name + "_vector", values);
  }

  Status quantize_layer(const LayerPlacement& placed) {
    const Node node = graph().node(placed.node);
    QuantizedLayer layer;
    layer.name = placed.name;
    layer.op_type = placed.op_type;
    layer.weight = *graph().constant(node.input(1));
    layer.input = graph().value(node.input(0)).name;
    FEWBIT_ASSIGN(Weight w, quantize_weight(node));
    FEWBIT_ASSIGN(ValueId bias, bias_of(node, w.n, layer.bias));
    layer.rows = w.n;
    layer.weight_codes = w.codes;
    layer.weight_scale = w.integers.scale;
    layer.weight_zero = w.integers.zero;
    double signal = 0;
    for (float v : layer.weight.span<float>()) signal += static_cast<double>(v) * v;
    layer.weight_sqnr_db = w.integers.squared_error > 0
                               ? 10 * std::log10(signal / w.integers.squared_error)
                               : INFINITY;
    graph().remove_node(placed.node);
    layer.node = write_product(node, w, codes_of(node.input(0)), bias);
    out_.layers.push_back(std::move(layer));
    return {};
  }

  // Returns the node of the product; the layer's output keeps its value and name.
  NodeId write_product(const Node& node, const Weight& w, const Codes& x, ValueId bias) {
    const std::string name = graph().value(node.output(0)).name;
    ValueId sums = fresh(name + "_sums", DType::kInt32);
    ValueId zero = scheme_.per_token ? kNone : x.zero;
    NodeId product = add("MatMulInteger", {x.codes, w.codes, zero, w.zero}, {sums});
    // The layer is known by the product's name; the nodes around it are named by their outputs.
    if (!node.name.empty()) graph().node(product).name = node.name;
    if (w.column_sums != kNone) {
      ValueId excess = compute("Mul", {x.zero, w.column_sums}, name + "_excess", DType::kInt32);
      sums = compute("Sub", {sums, excess}, name + "_corrected", DType::kInt32);
    }
    ValueId real = cast(sums, DType::kFloat32, name + "_float");
    ValueId factor = w.scale;
    if (scheme_.per_token) {
      real = compute("Mul", {real, x.scale}, name + "_rows_scaled");
    } else {
      factor = compute("Mul", {x.scale, w.scale}, name + "_scale");
    }
    if (bias == kNone) {
      add("Mul", {real, factor}, {node.output(0)});
    } else {
      add("Add", {compute("Mul", {real, factor}, name + "_scaled"), bias}, {node.output(0)});
    }
    return product;
  }

  const QuantScheme& scheme_;
  bool symmetric_;
  int opset_ = 13;
  QuantizedGraph out_;
  std::map<ValueId, Codes> codes_;
  std::map<std::string, ValueId> constants_;
};

}  // namespace

Result<QuantizedGraph> quantize_dynamic(const Graph& graph, const Placement& placement,
                                        const QuantScheme& scheme) {
  return DynamicWriter(graph, scheme).run(placement);
}

}  // namespace fewbit
