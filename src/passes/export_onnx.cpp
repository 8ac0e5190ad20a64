#include "passes/export_onnx.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>

#include "formats/leveled.h"
#include "graph/infer.h"
#include "numerics/packed_int.h"
#include "passes/upgrade_opset.h"
#include "runtime/packed_weight.h"

namespace fewbit {
namespace {

using formats::Leveled;
using formats::leveled_of;

// How a format's codes look in ONNX.
struct Carrier {
  DType type = DType::kUndefined;
  bool zero_point = false;
  int opset() const {
    if (bits_of(type) == 2) return 25;
    if (bits_of(type) == 4) return 21;
    return is_float(type) ? 19 : 13;
  }
};

std::optional<Carrier> float_carrier(const LevelGrid& grid) {
  if (grid.max == 448 && grid.mantissa_bits == 3) return Carrier{DType::kFloat8E4M3FN};
  if (grid.max == 57344 && grid.mantissa_bits == 2) return Carrier{DType::kFloat8E5M2};
  return std::nullopt;
}

// Integer grids, and tables whose levels are integers (ternary, binary).
std::optional<Carrier> carrier_of(const Format& format) {
  const Leveled* leveled = leveled_of(format);
  if (leveled == nullptr) return std::nullopt;
  const LevelGrid& grid = leveled->grid;
  if (grid.kind == LevelGrid::Kind::kFloat) return float_carrier(grid);
  const bool wide = grid.bits > 4;
  if (grid.zero_point) {
    return Carrier{wide ? DType::kUint8 : grid.bits > 2 ? DType::kUint4 : DType::kUint2, true};
  }
  for (const float level : level_values(grid)) {
    if (level != std::nearbyintf(level)) return std::nullopt;
  }
  return Carrier{wide ? DType::kInt8 : grid.bits > 2 ? DType::kInt4 : DType::kInt2, false};
}

// Whether only blocks can say which scale is whose: with groups, and where a row per output is
// spread over the first and the last dimension, as in a batch of MatMul weights.
bool is_blocked(const PackedMatrix& m, const Dims& dims, bool is_transposed) {
  if (m.format.group_elems > 0) return true;
  return m.format.group_elems == Format::kPerChannel && is_transposed && m.rows != dims.back();
}

// Everything of a matrix, one number per element or group, row by row.
struct Unpacked {
  std::vector<uint8_t> codes;  // [rows, cols]
  std::vector<float> scales;   // [rows, groups], the grid's unit multiplied in
  std::vector<int32_t> zeros;  // [rows, groups]
  int64_t groups = 1;
};

Unpacked unpack(const PackedMatrix& m) {
  Unpacked u;
  u.groups = groups_per_row(m.format, m.cols);
  u.codes.resize(static_cast<size_t>(m.rows * m.cols));
  u.scales.resize(static_cast<size_t>(m.rows * u.groups));
  u.zeros.resize(u.scales.size());
  for (int64_t r = 0; r < m.rows; ++r) {
    formats::leveled_codes(m, r, u.codes.data() + r * m.cols);
    formats::leveled_scales(m, r, u.scales.data() + r * u.groups);
    formats::leveled_zeros(m, r, u.zeros.data() + r * u.groups);
  }
  for (float& s : u.scales) s *= leveled_of(m.format)->grid.unit;
  return u;
}

// [batch * rows, cols] -> [batch, cols, rows] where the weight is the transpose.
template <typename T>
std::vector<T> transposed(const std::vector<T>& in, int64_t batch, int64_t rows, int64_t cols) {
  std::vector<T> out(in.size());
  transpose_matrices(in.data(), batch, rows, cols, out.data());
  return out;
}

// Codes, one per byte, low bits first into `bytes`, which are zero.
void pack_codes(const std::vector<uint8_t>& codes, int bits, uint8_t* bytes) {
  for (size_t i = 0; i < codes.size(); ++i) {
    if (bits == 2) set_packed_code<2>(bytes, i, codes[i]);
    if (bits == 4) set_packed_code<4>(bytes, i, codes[i]);
    if (bits == 8) bytes[i] = codes[i];
  }
}

Tensor code_tensor(DType type, const Dims& dims, const std::vector<uint8_t>& codes) {
  Tensor out = Tensor::zeros(type, dims);
  pack_codes(codes, bits_of(type), out.data<uint8_t>());
  return out;
}

class Exporter {
 public:
  Exporter(Graph& graph, const ExportOptions& options, int opset)
      : graph_(graph), options_(options), opset_(opset) {}

  Status run() {
    const std::vector<NodeId> order = graph_.order();
    for (NodeId id : order) {
      if (!graph_.is_live(id) || !is_decode(graph_.node(id))) continue;
      FEWBIT_TRY(rewrite(id));
    }
    return graph_.sort();
  }
  bool uses_contrib() const { return uses_contrib_; }

 private:
  Status rewrite(NodeId id) {
    FEWBIT_ASSIGN(const PackedMatrix matrix, packed_matrix(graph_, graph_.node(id)));
    const Dims dims = graph_.node(id).get_ints("dims");
    const bool is_transposed = graph_.node(id).get_int("transposed", 0) != 0;
    stem_ = graph_.value(graph_.node(id).input(0)).name;
    stem_ = stem_.substr(0, stem_.rfind('.'));
    const ValueId out = graph_.node(id).output(0);
    if (leveled_of(matrix.format) == nullptr) {  // fp16, bf16: one part
      graph_.remove_node(id);
      write_cast(matrix, dims, is_transposed, out);
      return {};
    }
    const Carrier carrier = widened(*carrier_of(matrix.format), is_transposed);
    const Unpacked u = unpack(matrix);
    if (options_.matmul_nbits) {
      FEWBIT_ASSIGN(const bool all, products_to_nbits(id, matrix, u));
      if (all) return {};
    }
    graph_.remove_node(id);
    write_dequantize(matrix, carrier, u, dims, is_transposed, out);
    return {};
  }

  // ONNX Runtime 1.31 fuses products with DequantizeLinear of int2 into a MatMulNBits that gives
  // wrong sums (without its graph optimizations, and as an explicit MatMulNBits, they are right).
  static Carrier widened(Carrier carrier, bool is_product) {
    if (!is_product || bits_of(carrier.type) != 2) return carrier;
    carrier.type = carrier.type == DType::kInt2 ? DType::kInt4 : DType::kUint4;
    return carrier;
  }

  ValueId constant(std::string_view what, Tensor tensor) {
    return graph_.add_constant(graph_.unique_name(fmt::format("{}_{}", stem_, what)),
                               std::move(tensor));
  }

  NodeId add(std::string_view op, std::vector<ValueId> inputs, ValueId output) {
    Node node;
    node.op_type = op;
    node.opset = opset_;
    node.name = graph_.unique_name(fmt::format("{}_{}", stem_, op));
    node.inputs = std::move(inputs);
    node.outputs = {output};
    return graph_.add_node(std::move(node));
  }

  void write_cast(const PackedMatrix& m, const Dims& dims, bool is_transposed, ValueId out) {
    Tensor values = m.parts[0].reshaped(dims);
    if (is_transposed) {
      const int64_t rows = dims.back();
      const auto half = m.parts[0].span<const uint16_t>();
      const std::vector<uint16_t> turned =
          transposed(std::vector<uint16_t>(half.begin(), half.end()), m.rows / rows, rows, m.cols);
      values = Tensor::uninitialized(m.parts[0].type(), dims);
      std::copy(turned.begin(), turned.end(), values.data<uint16_t>());
    }
    const NodeId id = add("Cast", {constant("values", values)}, out);
    graph_.node(id).attributes["to"] = static_cast<int64_t>(DType::kFloat32);
  }

  // ONNX's codes are the levels themselves, unless there is a zero-point or they are floats.
  static std::vector<uint8_t> onnx_codes(const Unpacked& u, const LevelGrid& grid) {
    std::vector<uint8_t> codes = u.codes;
    if (grid.zero_point || grid.kind == LevelGrid::Kind::kFloat) return codes;
    const std::array<float, 256> levels = level_values(grid);
    for (uint8_t& c : codes) c = static_cast<uint8_t>(static_cast<int>(levels[c]));
    return codes;
  }

  void write_dequantize(const PackedMatrix& m, const Carrier& carrier, const Unpacked& u,
                        const Dims& dims, bool is_transposed, ValueId out) {
    const int64_t group = m.format.group_elems;
    // With groups the weight is a matrix, with a leading batch where it is one of transposes.
    const int64_t width = is_transposed ? dims.back() : m.rows;
    const int64_t batch = m.rows / width;
    Dims stored = dims;
    Dims per_group = {m.rows, u.groups};
    int64_t axis = 1;
    std::vector<uint8_t> codes = onnx_codes(u, leveled_of(m.format)->grid);
    std::vector<float> scales = u.scales;
    std::vector<int32_t> zeros = u.zeros;
    const bool blocked = is_blocked(m, dims, is_transposed);
    const bool row_per_channel = group == Format::kPerChannel && dims[0] == m.rows;
    if (is_transposed) {
      codes = transposed(codes, batch, width, m.cols);
      scales = transposed(scales, batch, width, u.groups);
      zeros = transposed(zeros, batch, width, u.groups);
      per_group = dims;
      per_group[dims.size() - 2] = u.groups;
      axis = static_cast<int64_t>(dims.size()) - 2;
    } else if (group != Format::kPerTensor && !row_per_channel) {
      stored = {m.rows, m.cols};
    }
    if (!blocked) {
      const bool per_tensor = group == Format::kPerTensor;
      per_group = per_tensor ? Dims{} : Dims{m.rows};
      axis = per_tensor ? 1 : is_transposed ? static_cast<int64_t>(dims.size()) - 1 : 0;
      if (per_tensor) {
        scales.resize(1);
        zeros.resize(1);
      }
    }
    std::vector<ValueId> inputs = {constant("quantized", code_tensor(carrier.type, stored, codes)),
                                   constant("scale", Tensor::from(per_group, scales))};
    if (carrier.zero_point) {
      const std::vector<uint8_t> zero_codes(zeros.begin(), zeros.end());
      inputs.push_back(constant("zero_point", code_tensor(carrier.type, per_group, zero_codes)));
    }
    const bool reshapes = stored != dims;
    ValueId real = out;
    if (reshapes) {
      Shape shape = {Dim::of(m.rows), Dim::of(m.cols)};
      real = graph_.add_value(graph_.unique_name(stem_ + "_matrix"),
                              ValueType::tensor(DType::kFloat32, std::move(shape)));
    }
    const NodeId id = add("DequantizeLinear", std::move(inputs), real);
    graph_.node(id).attributes["axis"] = axis;
    if (blocked) graph_.node(id).attributes["block_size"] = group > 0 ? group : m.cols;
    if (!reshapes) return;
    const std::vector<int64_t> to(dims.begin(), dims.end());
    add("Reshape", {real, constant("shape", Tensor::from({static_cast<int64_t>(to.size())}, to))},
        out);
  }

  // MatMul and plain Gemm nodes that read the weight become MatMulNBits; true if none is left.
  Result<bool> products_to_nbits(NodeId decode, const PackedMatrix& m, const Unpacked& u) {
    const Leveled& leveled = *leveled_of(m.format);
    const int bits = leveled.grid.bits;
    const int64_t group = m.format.group_elems;
    const bool fits = leveled.grid.kind == LevelGrid::Kind::kInteger &&
                      (bits == 2 || bits == 4 || bits == 8) && group >= 16 &&
                      std::has_single_bit(static_cast<uint64_t>(group)) &&
                      graph_.node(decode).get_ints("dims").size() == 2;
    if (!fits) return false;
    const ValueId weight = graph_.node(decode).output(0);
    const std::vector<NodeId> readers = graph_.consumers(weight);
    bool all = !graph_.is_output(weight);
    std::optional<std::vector<ValueId>> inputs;
    for (NodeId reader : readers) {
      if (!is_product(reader, weight, graph_.node(decode).get_int("transposed", 0) != 0)) {
        all = false;
        continue;
      }
      if (!inputs) inputs = nbits_inputs(m, u, bits);
      replace_product(reader, m, bits, *inputs);
    }
    if (all) graph_.remove_node(decode);
    return all;
  }

  bool is_product(NodeId id, ValueId weight, bool is_transposed) const {
    const Node& node = graph_.node(id);
    if (node.input(1) != weight || node.input(0) == weight || node.input(2) == weight) return false;
    if (!is_plain_product(node, is_transposed)) return false;
    if (node.is("MatMul")) return true;
    const Tensor* bias = graph_.constant(node.input(2));
    return node.input(2) == kNone || (bias != nullptr && bias->rank() == 1);
  }

  // B [N, ceil(K / group), group * bits / 8], scales [N, groups], zero-points [N, bytes]: low bits
  // first, what fills up the last group is the zero.
  std::vector<ValueId> nbits_inputs(const PackedMatrix& m, const Unpacked& u, int bits) {
    const int64_t group = m.format.group_elems;
    const int64_t padded = u.groups * group;
    const int zero = 1 << (bits - 1);
    const int64_t row_bytes = padded * bits / 8;
    const auto zero_bytes = static_cast<int64_t>(packed_bytes(static_cast<size_t>(u.groups), bits));
    Tensor b = Tensor::zeros(DType::kUint8, {m.rows, u.groups, group * bits / 8});
    Tensor zeros = Tensor::zeros(DType::kUint8, {m.rows, zero_bytes});
    for (int64_t r = 0; r < m.rows; ++r) {
      std::vector<uint8_t> row(static_cast<size_t>(padded), static_cast<uint8_t>(zero));
      std::copy_n(u.codes.begin() + r * m.cols, m.cols, row.begin());
      const std::vector<uint8_t> zero_row(u.zeros.begin() + r * u.groups,
                                          u.zeros.begin() + (r + 1) * u.groups);
      pack_codes(row, bits, b.data<uint8_t>() + r * row_bytes);
      pack_codes(zero_row, bits, zeros.data<uint8_t>() + r * zero_bytes);
    }
    std::vector<ValueId> inputs = {
        constant("nbits", std::move(b)),
        constant("nbits_scale", Tensor::from({m.rows, u.groups}, u.scales))};
    const bool has_zeros = leveled_of(m.format)->grid.zero_point;
    inputs.push_back(has_zeros ? constant("nbits_zero_point", std::move(zeros)) : kNone);
    return inputs;
  }

  void replace_product(NodeId id, const PackedMatrix& m, int bits,
                       const std::vector<ValueId>& weight) {
    const Node old = graph_.node(id);
    graph_.remove_node(id);
    Node node;
    node.op_type = "MatMulNBits";
    node.domain = "com.microsoft";
    node.opset = 1;
    node.name = old.name;
    node.inputs = {old.input(0), weight[0], weight[1], weight[2]};
    if (old.input(2) != kNone) {
      node.inputs.push_back(kNone);  // g_idx
      node.inputs.push_back(old.input(2));
    }
    while (node.inputs.back() == kNone) node.inputs.pop_back();
    node.outputs = old.outputs;
    node.attributes["K"] = m.cols;
    node.attributes["N"] = m.rows;
    node.attributes["bits"] = static_cast<int64_t>(bits);
    node.attributes["block_size"] = m.format.group_elems;
    graph_.add_node(std::move(node));
    uses_contrib_ = true;
  }

  Graph& graph_;
  const ExportOptions& options_;
  int opset_;
  std::string stem_;  // names of new values begin with the weight's
  bool uses_contrib_ = false;
};

// The opset that all Decode nodes need, or what cannot be carried.
Result<int> needed_opset(const Graph& graph) {
  int opset = 0;
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (reads_codes(graph, node, FewBitActivations::kInt8)) {
      return unsupported(
          "{} rounds its activations to int8 when it runs, for which ONNX has no form beside "
          "weights in "
          "few bits: write a .fewbit file",
          node.label());
    }
    if (!is_decode(node)) continue;
    FEWBIT_ASSIGN(const PackedMatrix matrix, packed_matrix(graph, node));
    const bool half = leveled_of(matrix.format) == nullptr && matrix.format.row->files & kOnnxFile;
    const std::optional<Carrier> carrier = carrier_of(matrix.format);
    if (!half && !carrier) {
      return unsupported("weight '{}' is {}, for which ONNX has no form: write a .fewbit file",
                         graph.value(node.output(0)).name, matrix.format.name());
    }
    const bool blocked =
        is_blocked(matrix, node.get_ints("dims"), node.get_int("transposed", 0) != 0);
    opset = std::max({opset, 13, carrier ? carrier->opset() : 13, blocked && !half ? 21 : 0});
  }
  return opset;
}

}  // namespace

Status export_decode_nodes(Model& model, const ExportOptions& options) {
  FEWBIT_ASSIGN(const int needed, needed_opset(model.graph));
  if (needed == 0) return {};
  FEWBIT_TRY(infer_graph(model.graph));
  if (model.onnx_opset() < needed) FEWBIT_TRY(upgrade_opset(model, needed));
  Exporter exporter(model.graph, options, std::max(needed, model.onnx_opset()));
  FEWBIT_TRY(exporter.run());
  model.opsets.erase("ai.fewbit");
  if (exporter.uses_contrib()) model.opsets.emplace("com.microsoft", 1);
  return {};
}

}  // namespace fewbit
