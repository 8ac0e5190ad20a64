// MatMul and Gemm in float32, or in bfloat16 where the weights are -> oneDNN, with a constant bias
// (Gemm's C, or an Add behind MatMul) and the activation fused.

#include "kernels/dnnl/dnnl.h"
#include "numerics/convert.h"
#include "runtime/lower/bfloat16.h"
#include "runtime/lower/tables.h"
#include "runtime/lower/unary_of.h"

namespace fewbit::lower {
namespace {

class FloatProductStep final : public Step {
 public:
  FloatProductStep(DnnlMatMul product, SlotId a, SlotId b, SlotId c)
      : product_(std::move(product)), a_(a), b_(b), c_(c) {
    kernel = "onednn/" + product_.implementation();
    reads = {a};
    if (b != kNone) reads.push_back(b);
    writes = {c};
  }
  Status run(Frame& frame) override {
    product_.execute(frame.in(a_), b_ == kNone ? nullptr : frame.in(b_), frame.out(c_));
    return {};
  }

 private:
  DnnlMatMul product_;
  SlotId a_, b_, c_;
};

// A constant float vector of length n that is added to every row: [n], [1, n], [1, 1, n] ...
const Tensor* row_vector(const Graph& graph, ValueId value, int64_t n) {
  const Tensor* t = graph.constant(value);
  if (t == nullptr || t->type() != DType::kFloat32 || t->elements() != n) return nullptr;
  return t->rank() >= 1 && t->dims().back() == n ? t : nullptr;
}

struct Operands {
  DnnlMatrix a, b;
  const Tensor* bias = nullptr;
};

// `constant`: the float32 matrix b, or nullptr where it is computed: then it is no bfloat16.
Result<DnnlMatMul> create_product(const DnnlMatMulSpec& spec, const Tensor* constant,
                                  const float* bias) {
  if (spec.type == DType::kFloat32) {
    return DnnlMatMul::create(spec, constant == nullptr ? nullptr : constant->raw(), bias);
  }
  if (constant == nullptr) return unsupported("a product of two activations in bfloat16");
  FEWBIT_ASSIGN(const Tensor weights, cast(*constant, spec.type));
  return DnnlMatMul::create(spec, weights.raw(), bias);
}

// `p` is complete but for what is behind the product.
Result<bool> lower_product(Lowering& lowering, const Node& node, Operands p) {
  const Graph& graph = lowering.graph();
  ValueId result = node.output(0);
  const Dims out = lowering.dims(result);
  if (elements_of(out) == 0 || elements_of(p.a.dims) == 0 || elements_of(p.b.dims) == 0)
    return false;
  if (p.bias == nullptr) {
    NodeId reader = lowering.fusable_reader(result);
    if (reader != kNone && graph.node(reader).is("Add")) {
      const Node& add = graph.node(reader);
      ValueId other = add.input(0) == result ? add.input(1) : add.input(0);
      const Tensor* bias = row_vector(graph, other, out.back());
      if (bias != nullptr && lowering.dims(add.output(0)) == out) {
        p.bias = bias;
        lowering.cover(reader);
        result = add.output(0);
      }
    }
  }
  DnnlMatMulSpec spec;
  const Tensor* constant = graph.constant(node.input(1));
  int64_t k = p.a.dims.back();
  // Rows of a constant matrix are shared by the whole batch: one product of all rows.
  if (constant != nullptr && p.b.dims.size() == 2 && p.a.strides_elems.empty()) {
    p.a.dims = {elements_of(p.a.dims) / k, k};
  }
  spec.a = p.a;
  spec.b = p.b;
  if (auto activation = absorb_unary(lowering, result, dnnl_can_fuse)) {
    spec.post.activation = activation->unary;
    result = activation->result;
  }
  const float* bias = p.bias == nullptr ? nullptr : p.bias->data<float>();
  FEWBIT_ASSIGN(DnnlMatMul product, create_in_best_type(lowering, node, result, spec, [&] {
                  return create_product(spec, constant, bias);
                }));
  SlotId a = lowering.use(node.input(0), Layout::kPlain, spec.type);
  SlotId b = constant == nullptr ? lowering.use(node.input(1), Layout::kPlain) : kNone;
  SlotId c = lowering.define(result, Layout::kPlain, spec.dst_type.value_or(spec.type));
  auto step = std::make_unique<FloatProductStep>(std::move(product), a, b, c);
  step->macs = elements_of(out) * k;
  if (constant != nullptr) step->weight_bytes = bytes_of(spec.type, constant->elements());
  lowering.add(std::move(step), node);
  return true;
}

bool is_float_matrix(const Lowering& lowering, ValueId value) {
  return lowering.type(value) == DType::kFloat32 && lowering.dims(value).size() >= 2;
}

Result<bool> lower_matmul(Lowering& lowering, const Node& node) {
  if (!is_float_matrix(lowering, node.input(0)) || !is_float_matrix(lowering, node.input(1))) {
    return false;
  }
  Operands p;
  p.a.dims = lowering.dims(node.input(0));
  p.b.dims = lowering.dims(node.input(1));
  // oneDNN wants operands of one rank.
  size_t rank = std::max(p.a.dims.size(), p.b.dims.size());
  if (p.b.dims.size() > 2 || lowering.graph().constant(node.input(1)) == nullptr) {
    p.a.dims.insert(p.a.dims.begin(), rank - p.a.dims.size(), 1);
    p.b.dims.insert(p.b.dims.begin(), rank - p.b.dims.size(), 1);
  }
  return lower_product(lowering, node, std::move(p));
}

DnnlMatrix matrix(const Dims& dims, bool transposed) {
  if (!transposed) return {dims, {}};
  return {{dims[1], dims[0]}, {1, dims[1]}};
}

Result<bool> lower_gemm(Lowering& lowering, const Node& node) {
  if (!is_float_matrix(lowering, node.input(0)) || !is_float_matrix(lowering, node.input(1))) {
    return false;
  }
  if (node.get_float("alpha", 1) != 1 || node.get_float("beta", 1) != 1) return false;
  Operands p;
  p.a = matrix(lowering.dims(node.input(0)), node.get_int("transA", 0) != 0);
  p.b = matrix(lowering.dims(node.input(1)), node.get_int("transB", 0) != 0);
  if (node.input(2) != kNone) {
    p.bias = row_vector(lowering.graph(), node.input(2), lowering.dims(node.output(0)).back());
    if (p.bias == nullptr) return false;
  }
  return lower_product(lowering, node, std::move(p));
}

constexpr LowerRow kRows[] = {{"", "MatMul", lower_matmul}, {"", "Gemm", lower_gemm}};

}  // namespace

std::span<const LowerRow> float_product_rows() {
  return kRows;
}

}  // namespace fewbit::lower
