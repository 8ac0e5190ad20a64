#include "passes/pack_weights.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "numerics/convert.h"
#include "numerics/error_stats.h"
#include "passes/placement.h"
#include "runtime/integer_weight.h"

namespace fewbit {
namespace {

// How the matrix lies in the weight tensor.
enum class Orientation : uint8_t {
  kFirstDim,    // a row is what one index of the first dimension holds
  kLastDim,     // a row holds the elements of one index of the last dimension
  kLeadingTwo,  // a row is one index of the first two dimensions
};

struct Slot {
  std::string_view op_type;
  size_t input;
  Orientation orientation;
};

constexpr Slot kSlots[] = {
    {"Conv", 1, Orientation::kFirstDim},   {"ConvTranspose", 1, Orientation::kFirstDim},
    {"MatMul", 1, Orientation::kLastDim},  {"Gemm", 1, Orientation::kLastDim},
    {"Gather", 0, Orientation::kFirstDim}, {"LSTM", 1, Orientation::kLeadingTwo},
    {"LSTM", 2, Orientation::kLeadingTwo}, {"GRU", 1, Orientation::kLeadingTwo},
    {"GRU", 2, Orientation::kLeadingTwo},  {"RNN", 1, Orientation::kLeadingTwo},
    {"RNN", 2, Orientation::kLeadingTwo},
};

Orientation orientation_of(const Node& node, const Slot& slot) {
  const bool rows_first = node.is("Gemm") && node.get_int("transB", 0) != 0;
  return rows_first ? Orientation::kFirstDim : slot.orientation;
}

struct Matrix {
  int64_t rows = 0, cols = 0;
  bool transposed = false;
};

Matrix matrix_of(const Dims& dims, Orientation orientation) {
  const int64_t elements = elements_of(dims);
  switch (orientation) {
    case Orientation::kFirstDim:
      return {dims[0], elements / dims[0], false};
    case Orientation::kLeadingTwo:
      return {dims[0] * dims[1], elements / (dims[0] * dims[1]), false};
    case Orientation::kLastDim:
      break;
  }
  const int64_t depth = dims[dims.size() - 2];
  return {elements / depth, depth, true};
}

class Packer {
 public:
  Packer(Graph& graph, const PackOptions& options) : graph_(graph), options_(options) {}

  Result<std::vector<PackedLayer>> run() {
    const std::vector<NodeId> order = graph_.order();
    for (NodeId id : order) {
      for (const Slot& slot : kSlots) {
        if (graph_.node(id).is(slot.op_type)) FEWBIT_TRY(visit(id, slot));
      }
    }
    FEWBIT_TRY(graph_.sort());
    if (options_.int8_activations) mark_products();
    return std::move(layers_);
  }

 private:
  // What was made of a constant, for the layers that share it.
  struct Done {
    Orientation orientation;
    ValueId decoded;
    PackedLayer layer;
  };

  Status visit(NodeId id, const Slot& slot) {
    const Node& node = graph_.node(id);
    const ValueId weight = node.input(slot.input);
    const Tensor* tensor = graph_.constant(weight);
    // A Gather of indices or shapes, or a product of two activations, has no weights.
    if (tensor == nullptr || !is_float(tensor->type())) return {};
    PackedLayer layer;
    layer.name = layer_name(graph_, node);
    layer.op_type = node.op_type;
    layer.weight = graph_.value(weight).name;
    layer.reason = obstacle(node, weight, *tensor);
    layer.float_bytes = layer.bytes = tensor->bytes();
    if (!layer.reason.empty()) {
      layers_.push_back(std::move(layer));
      return {};
    }
    const Orientation orientation = orientation_of(node, slot);
    if (auto done = done_.find(weight); done != done_.end()) {
      share(layer, done->second, orientation, id, slot);
      return {};
    }
    FEWBIT_ASSIGN(const std::optional<ValueId> decoded, pack(layer, *tensor, orientation, weight));
    if (decoded) {
      graph_.set_input(id, slot.input, *decoded);
      done_.emplace(weight, Done{orientation, *decoded, layer});
    }
    layers_.push_back(std::move(layer));
    return {};
  }

  std::string obstacle(const Node& node, ValueId weight, const Tensor& tensor) const {
    if (options_.float_layers.count(layer_name(graph_, node)) != 0)
      return "left in float by the recipe";
    if (tensor.rank() < 2) return "its weight is no matrix";
    if (tensor.elements() == 0) return "its weight is empty";
    if (node.is("Gather") && (node.get_int("axis", 0) != 0 || tensor.rank() != 2))
      return "it does not gather rows of a matrix";
    if (bits_of(tensor.type()) > 32) return "its weight is float64";
    if (graph_.is_input(weight)) return "its weight is an input of the model";
    if (graph_.is_output(weight)) return "its weight is an output of the model";
    return "";
  }

  void mark_products() {
    for (NodeId id : graph_.order()) {
      Node& node = graph_.node(id);
      const std::string name = layer_name(graph_, node);
      auto layer = std::find_if(layers_.begin(), layers_.end(),
                                [&](const PackedLayer& l) { return l.name == name && l.packed(); });
      if (layer == layers_.end()) continue;
      const bool product = node.is("MatMul") || node.is("Gemm");
      if (product) node.metadata[std::string(kInt8Activations)] = "row";
      layer->on_codes = reads_codes(graph_, node);
      if (layer->on_codes) continue;
      node.metadata.erase(std::string(kInt8Activations));
      layer->note = product
                        ? fmt::format("no kernel reads {} in this place", options_.format.name())
                        : "dynamic quantization covers MatMul and Gemm";
    }
  }

  // The constant has been packed for a layer before this one.
  void share(PackedLayer& layer, const Done& done, Orientation orientation, NodeId id,
             const Slot& slot) {
    if (done.orientation != orientation) {
      layer.reason =
          fmt::format("'{}' has packed the same weights in the other direction", done.layer.name);
    } else {
      graph_.set_input(id, slot.input, done.decoded);
      layer.rows = done.layer.rows;
      layer.cols = done.layer.cols;
      layer.sqnr_db = done.layer.sqnr_db;
      layer.on_codes = done.layer.on_codes;
      layer.note = done.layer.note;
      layer.float_bytes = layer.bytes = 0;
    }
    layers_.push_back(std::move(layer));
  }

  // The decoded value, or nothing if the format cannot hold the weights: then with the reason.
  Result<std::optional<ValueId>> pack(PackedLayer& layer, const Tensor& tensor,
                                      Orientation orientation, ValueId weight) {
    const Matrix m = matrix_of(tensor.dims(), orientation);
    layer.rows = m.rows;
    layer.cols = m.cols;
    FEWBIT_ASSIGN(const Tensor values, cast(tensor, DType::kFloat32));
    std::vector<float> rows(values.span<float>().begin(), values.span<float>().end());
    if (m.transposed) {
      const int64_t width = tensor.dims().back();
      transpose_matrices(values.data<float>(), m.rows / width, m.cols, width, rows.data());
    }
    if (!std::all_of(rows.begin(), rows.end(), [](float x) { return std::isfinite(x); })) {
      return bad_input("weight '{}' of {} '{}' holds NaN or infinity", layer.weight, layer.op_type,
                       layer.name);
    }
    Result<PackedMatrix> packed =
        encode(options_.format, {rows, m.rows, m.cols, importance(layer)}, {options_.search});
    if (!packed.ok()) {
      layer.reason = packed.error().message();
      return std::optional<ValueId>();
    }
    layer.bytes = stored_bytes(options_.format, m.rows, m.cols);
    ErrorStats errors;
    errors.add(rows, decode(*packed));
    layer.sqnr_db = errors.sqnr_db();
    if (options_.static_activations) note_integers(layer, *packed);
    return std::optional(
        as_type(tensor.type(), add_node(*packed, tensor.dims(), m.transposed, weight)));
  }

  // Quantized activations meet integers, if the weights are some.
  static void note_integers(PackedLayer& layer, const PackedMatrix& packed) {
    if (layer.op_type != "Conv" && layer.op_type != "MatMul" && layer.op_type != "Gemm") {
      layer.note = "it has no integer kernel";
      return;
    }
    const auto scales = integer_scales(packed);
    layer.on_codes = scales.ok();
    if (!scales.ok()) layer.note = scales.error().message();
  }

  std::span<const float> importance(const PackedLayer& layer) const {
    auto it = options_.importance.find(layer.name);
    if (it == options_.importance.end()) return {};
    const auto size = static_cast<int64_t>(it->second.size());
    if (size != layer.cols && size != layer.rows * layer.cols) return {};
    return it->second;
  }

  // float16 and bfloat16 models go on in their own type.
  ValueId as_type(DType type, ValueId decoded) {
    if (type == DType::kFloat32) return decoded;
    Node cast;
    cast.op_type = "Cast";
    cast.opset = 13;
    cast.inputs = {decoded};
    cast.attributes["to"] = static_cast<int64_t>(type);
    ValueType converted = graph_.value(decoded).type;
    converted.elem = type;
    const std::string name = graph_.unique_name(graph_.value(decoded).name + ".cast");
    cast.name = name;
    cast.outputs = {graph_.add_value(name, std::move(converted))};
    const ValueId out = cast.outputs[0];
    graph_.add_node(std::move(cast));
    return out;
  }

  ValueId add_node(const PackedMatrix& packed, const Dims& dims, bool transposed, ValueId weight) {
    const std::string name = graph_.value(weight).name;
    Node node = decode_node(packed, dims, transposed);
    const std::vector<PartSpec> specs = parts_of(packed.format, packed.rows, packed.cols);
    for (size_t i = 0; i < specs.size(); ++i) {
      node.inputs.push_back(graph_.add_constant(
          graph_.unique_name(fmt::format("{}.{}", name, specs[i].name)), packed.parts[i]));
    }
    Shape shape;
    for (int64_t d : dims) shape.push_back(Dim::of(d));
    const ValueId out = graph_.add_value(graph_.unique_name(name + ".decoded"),
                                         ValueType::tensor(DType::kFloat32, std::move(shape)));
    node.outputs = {out};
    node.name = graph_.value(out).name;
    graph_.add_node(std::move(node));
    return out;
  }

  Graph& graph_;
  const PackOptions& options_;
  std::map<ValueId, Done> done_;
  std::vector<PackedLayer> layers_;
};

}  // namespace

Result<std::vector<PackedLayer>> pack_weights(Graph& graph, const PackOptions& options) {
  return Packer(graph, options).run();
}

}  // namespace fewbit
