// Integer matrix products: QLinearMatMul, QGemm, MatMulIntegerToFloat, MatMulInteger
// -> kernels/int8_gemm, with packed weights or, for two activations, packed at each call.

#include "kernels/int8_gemm/int8_gemm.h"
#include "runtime/lower/integer_layers.h"
#include "runtime/lower/qparams.h"
#include "runtime/lower/tables.h"

namespace fewbit::lower {
namespace {

class Int8GemmStep final : public Step {
 public:
  Int8GemmStep(Int8Gemm gemm, int64_t m, SlotId a, SlotId c)
      : gemm_(std::move(gemm)), m_(m), a_(a), c_(c) {
    kernel = fmt::format("int8_gemm/{}", name_of(gemm_.isa()));
    if (gemm_.weight_bits() < 8) kernel += fmt::format("/w{}", gemm_.weight_bits());
    weight_bytes = gemm_.packed_bytes();
    reads = {a};
    writes = {c};
  }
  Status run(Frame& frame) override {
    Int8GemmCall call;
    call.m = m_;
    call.a = frame.in(a_);
    call.c = frame.out(c_);
    gemm_.run(call, frame.threads);
    return {};
  }

 private:
  Int8Gemm gemm_;
  int64_t m_;
  SlotId a_, c_;
};

class Int8DynamicGemmStep final : public Step {
 public:
  Int8DynamicGemmStep(Int8GemmSpec spec, int64_t m, std::vector<Int8GemmBatch> batches, SlotId a,
                      SlotId b, SlotId c)
      : spec_(std::move(spec)), m_(m), batches_(std::move(batches)), a_(a), b_(b), c_(c) {
    kernel = "int8_gemm/both operands dynamic";
    reads = {a, b};
    writes = {c};
  }
  Status run(Frame& frame) override {
    Int8GemmCall call;
    call.m = m_;
    call.a = frame.in(a_);
    call.c = frame.out(c_);
    return run_int8_gemm_dynamic(spec_, call, frame.in(b_), 0, batches_, frame.threads);
  }

 private:
  Int8GemmSpec spec_;
  int64_t m_;
  std::vector<Int8GemmBatch> batches_;
  SlotId a_, b_, c_;
};

// The operands of one product, wherever the operator keeps them among its inputs.
struct Product {
  ValueId a = kNone, b = kNone;
  std::optional<QuantParams> pa, pb, pc;  ///< pc empty: float (or int32) output
  bool b_transposed = false;
  std::span<const int32_t> bias;
  std::vector<float> float_bias;
  DType out_type = DType::kFloat32;
};

// [offset] of each matrix of a broadcast batch of matrices with `elems` elements each.
std::vector<int64_t> batch_offsets(const Dims& dims, const Dims& out, int64_t elems) {
  size_t batch_rank = out.size() - 2;
  std::vector<int64_t> offsets;
  int64_t count = 1;
  for (size_t i = 0; i < batch_rank; ++i) count *= out[i];
  for (int64_t index = 0; index < count; ++index) {
    int64_t rest = index;
    int64_t offset = 0;
    int64_t stride = elems;
    for (size_t i = batch_rank; i-- > 0;) {
      int64_t position = rest % out[i];
      rest /= out[i];
      int64_t own = static_cast<int64_t>(i) - static_cast<int64_t>(out.size() - dims.size());
      if (own < 0) continue;
      int64_t extent = dims[static_cast<size_t>(own)];
      if (extent != 1) offset += position * stride;
      stride *= extent;
    }
    offsets.push_back(offset);
  }
  return offsets;
}

Result<bool> lower_product(Lowering& lowering, const Node& node, Product& p) {
  const Dims& a = lowering.dims(p.a);
  const Dims& b = lowering.dims(p.b);
  const Dims& out = lowering.dims(node.output(0));
  if (a.size() < 2 || b.size() < 2 || elements_of(out) == 0 || elements_of(a) == 0) return false;
  if (!p.pa || !p.pa->per_tensor() || !p.pb) return false;
  FEWBIT_ASSIGN(const std::optional<IntegerWeight> constant, integer_weight(lowering, p.b));
  Int8GemmSpec spec;
  spec.k = a.back();
  spec.n = out.back();
  spec.a_type = lowering.type(p.a);
  spec.a_zero = p.pa->zero[0];
  spec.b_type = lowering.type(p.b);
  spec.b_transposed = p.b_transposed;
  bool zero_b = true;
  for (int32_t z : p.pb->zero) zero_b = zero_b && z == 0;
  if (!zero_b) spec.b_zero = p.pb->zero;
  spec.output.type = p.out_type;
  ValueId result = node.output(0);
  if (p.out_type == DType::kFloat32) {
    for (float s : p.pb->scale) spec.output.scale.push_back(p.pa->scale[0] * s);
    spec.output.float_bias = p.float_bias;
  } else if (p.pc) {
    if (!p.pc->per_tensor()) return false;
    for (float s : p.pb->scale) spec.output.scale.push_back(p.pa->scale[0] * s / p.pc->scale[0]);
    spec.output.zero = p.pc->zero[0];
    std::tie(spec.output.lo, spec.output.hi) = code_range(p.out_type);
  }
  bool shared_b = constant && b.size() == 2;
  spec.few_bits = shared_b && constant->few_bits;
  if (!shared_b && (!p.bias.empty() || p.b_transposed)) return false;
  if (!shared_b && !constant && p.pb->scale.size() != 1) return false;
  if (p.pc) result = absorb_clips(lowering, result, spec.output.lo, spec.output.hi);
  int64_t rows = elements_of(a) / spec.k;
  SlotId source = lowering.use(p.a, Layout::kPlain);
  std::unique_ptr<Step> step;
  if (shared_b) {
    FEWBIT_ASSIGN(Int8Gemm gemm, Int8Gemm::prepare(spec, constant->values.raw(), p.bias));
    SlotId target = lowering.define(result, Layout::kPlain);
    step = std::make_unique<Int8GemmStep>(std::move(gemm), rows, source, target);
  } else {
    int64_t m = a[a.size() - 2];
    std::vector<int64_t> oa = batch_offsets(a, out, m * spec.k);
    std::vector<int64_t> ob = batch_offsets(b, out, spec.k * spec.n);
    std::vector<Int8GemmBatch> batches;
    for (size_t i = 0; i < oa.size(); ++i) {
      batches.push_back({oa[i], ob[i], static_cast<int64_t>(i) * m * spec.n});
    }
    SlotId other = lowering.use(p.b, Layout::kPlain);
    SlotId target = lowering.define(result, Layout::kPlain);
    step = std::make_unique<Int8DynamicGemmStep>(std::move(spec), m, std::move(batches), source,
                                                 other, target);
  }
  step->macs = elements_of(out) * a.back();
  lowering.add(std::move(step), node);
  return true;
}

Result<bool> lower_qlinear_matmul(Lowering& lowering, const Node& node) {
  Product p;
  p.a = node.input(0);
  p.b = node.input(3);
  p.out_type = lowering.type(node.output(0));
  p.pa = operand_params(lowering, node, 1, 2, lowering.type(p.a));
  p.pb = operand_params(lowering, node, 4, 5, lowering.type(p.b));
  p.pc = operand_params(lowering, node, 6, 7, p.out_type);
  if (!p.pc) return false;
  return lower_product(lowering, node, p);
}

Result<bool> lower_qgemm(Lowering& lowering, const Node& node) {
  if (node.get_float("alpha", 1) != 1 || node.get_int("transA", 0) != 0) return false;
  Product p;
  p.a = node.input(0);
  p.b = node.input(3);
  p.out_type = lowering.type(node.output(0));
  p.b_transposed = node.get_int("transB", 0) != 0;
  p.pa = operand_params(lowering, node, 1, 2, lowering.type(p.a));
  p.pb = operand_params(lowering, node, 4, 5, lowering.type(p.b));
  if (const Tensor* bias = lowering.graph().constant(node.input(6)); bias != nullptr) {
    if (bias->elements() != lowering.dims(node.output(0)).back()) return false;
    p.bias = bias->span<int32_t>();
  } else if (node.input(6) != kNone) {
    return false;
  }
  if (node.input(7) != kNone) {
    p.pc = operand_params(lowering, node, 7, 8, p.out_type);
    if (!p.pc) return false;
  } else if (p.out_type != DType::kFloat32) {
    return false;
  }
  return lower_product(lowering, node, p);
}

Result<bool> lower_matmul_to_float(Lowering& lowering, const Node& node) {
  Product p;
  p.a = node.input(0);
  p.b = node.input(1);
  p.pa = operand_params(lowering, node, 2, 4, lowering.type(p.a));
  p.pb = operand_params(lowering, node, 3, 5, lowering.type(p.b));
  if (const Tensor* bias = lowering.graph().constant(node.input(6)); bias != nullptr) {
    auto values = bias->span<float>();
    p.float_bias.assign(values.begin(), values.end());
  } else if (node.input(6) != kNone) {
    return false;
  }
  return lower_product(lowering, node, p);
}

constexpr LowerRow kRows[] = {{"", "QLinearMatMul", lower_qlinear_matmul},
                              {"com.microsoft", "QGemm", lower_qgemm},
                              {"com.microsoft", "MatMulIntegerToFloat", lower_matmul_to_float}};

}  // namespace

std::span<const LowerRow> int8_product_rows() {
  return kRows;
}

}  // namespace fewbit::lower
