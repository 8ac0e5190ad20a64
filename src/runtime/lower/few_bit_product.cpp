// MatMul and Gemm with weights in few bits and activations rounded to int8 for each row -> the
// kernels that read the codes: few_bit, pattern_codes, vector_codes. Only where the model says so
// (kInt8Activations): rounding activations changes what a network answers.

#include "formats/sherry.h"
#include "kernels/few_bit/few_bit.h"
#include "kernels/pattern_codes/pattern_codes.h"
#include "kernels/vector_codes/vector_codes.h"
#include "runtime/lower/call_step.h"
#include "runtime/lower/tables.h"
#include "runtime/packed_weight.h"

namespace fewbit::lower {
namespace {

bool is_static_float(const Lowering& lowering, ValueId value) {
  return value != kNone && lowering.is_static(value) && lowering.type(value) == DType::kFloat32;
}

// This node runs on the codes of its weights with the shapes that the plan has.
bool runs_on_codes(const Lowering& lowering, const Node& node) {
  const Graph& graph = lowering.graph();
  if (!reads_codes(graph, node)) return false;
  if (!is_static_float(lowering, node.input(0)) || !is_static_float(lowering, node.output(0))) {
    return false;
  }
  return !lowering.dims(node.input(0)).empty() && elements_of(lowering.dims(node.output(0))) > 0;
}

// A step that runs `gemm`, whose calls are of type Call, on this node's input.
template <class Call, class Gemm>
void add_product(Lowering& lowering, const Node& node, std::string_view family,
                 const PackedMatrix& matrix, int64_t rows, const Gemm& gemm) {
  const int threads = lowering.threads();
  const SlotId x = lowering.use(node.input(0), Layout::kPlain);
  const SlotId y = lowering.define(node.output(0), Layout::kPlain);
  auto step = call_step(fmt::format("{}/{}/{}", family, name_of(gemm.isa()), matrix.format.name()),
                        {x}, {y}, [=](Frame& frame) -> Status {
                          Call call;
                          call.m = rows;
                          call.x = static_cast<const float*>(frame.in(x));
                          call.y = static_cast<float*>(frame.out(y));
                          gemm.run(call, threads);
                          return {};
                        });
  step->macs = rows * matrix.rows * matrix.cols;
  step->weight_bytes = gemm.packed_bytes();
  lowering.add(std::move(step), node);
}

Result<bool> lower_code_product(Lowering& lowering, const Node& node) {
  if (!runs_on_codes(lowering, node)) return false;
  const Graph& graph = lowering.graph();
  const Node& decode = graph.node(graph.value(node.input(1)).producer);
  FEWBIT_ASSIGN(const PackedMatrix matrix, packed_matrix(graph, decode));
  std::vector<float> bias;
  if (const Tensor* c = graph.constant(node.input(2)); c != nullptr) {
    bias.assign(c->span<float>().begin(), c->span<float>().end());
  }
  const int64_t rows = elements_of(lowering.dims(node.input(0))) / matrix.cols;
  if (prefers_pattern_codes(matrix.format, matrix.cols, rows)) {
    const Result<PatternGemm> gemm = PatternGemm::prepare(matrix, bias);
    if (gemm.ok()) {
      add_product<ProductCall>(lowering, node, "pattern_codes", matrix, rows, *gemm);
      return true;
    }
    // Else it is ternary storage with a code that is none of three, which few_bit takes as it is,
    // or longer rows than patterns may have.
  }
  if (has_vector_codes(matrix.format, matrix.cols)) {
    FEWBIT_ASSIGN(const VectorGemm gemm, VectorGemm::prepare(matrix, bias));
    add_product<ProductCall>(lowering, node, "vector_codes", matrix, rows, gemm);
    return true;
  }
  const bool sherry = formats::is_sherry(matrix.format);
  FEWBIT_ASSIGN(const FewBitGemm gemm,
                FewBitGemm::prepare(sherry ? formats::sherry_as_ternary(matrix) : matrix, bias));
  add_product<FewBitCall>(lowering, node, "few_bit", matrix, rows, gemm);
  return true;
}

// Nobody needs the floats of weights whose readers all take the codes. Where one does (an embedding
// that is also the weight of a product), they are decoded once, not at every run.
Result<bool> lower_decode(Lowering& lowering, const Node& node) {
  const Graph& graph = lowering.graph();
  if (graph.is_output(node.output(0)) || lowering.is_watched(node.output(0))) return false;
  for (NodeId reader : lowering.uses().consumers[static_cast<size_t>(node.output(0))]) {
    if (runs_on_codes(lowering, graph.node(reader))) continue;
    FEWBIT_ASSIGN(const PackedMatrix matrix, packed_matrix(graph, node));
    Tensor floats = Tensor::uninitialized(DType::kFloat32, node.get_ints("dims"));
    decode_tensor(matrix, node.get_int("transposed", 0) != 0, floats);
    const std::string& name = graph.value(node.output(0)).name;
    lowering.alias(node.output(0), lowering.add_constant(name, std::move(floats)));
    return true;
  }
  return true;
}

constexpr LowerRow kRows[] = {{"ai.fewbit", "Decode", lower_decode},
                              {"", "MatMul", lower_code_product},
                              {"", "Gemm", lower_code_product}};

}  // namespace

std::span<const LowerRow> few_bit_product_rows() {
  return kRows;
}

}  // namespace fewbit::lower
