// Dynamic quantization: DynamicQuantizeLinear and QuantizeRows on the kernels of
// kernels/pointwise/quantize, QDynamicMatMul on kernels/int8_gemm with one scale per row.

#include <algorithm>

#include "kernels/int8_gemm/int8_gemm.h"
#include "kernels/pointwise/quantize/quantize.h"
#include "runtime/lower/call_step.h"
#include "runtime/lower/tables.h"

namespace fewbit::lower {
namespace {

Result<bool> lower_dynamic_quantize(Lowering& lowering, const Node& node) {
  ValueId x = node.input(0);
  if (lowering.type(x) != DType::kFloat32) return false;
  const int64_t count = elements_of(lowering.dims(x));
  Layout layout = kept_layout(lowering, x);
  SlotId in = lowering.use(x, layout);
  SlotId codes = lowering.define(node.output(0), layout);
  SlotId scale = lowering.define(node.output(1), Layout::kPlain);
  SlotId zero = lowering.define(node.output(2), Layout::kPlain);
  lowering.add(call_step("dynamic quantize", {in}, {codes, scale, zero},
                         [=](Frame& f) -> Status {
                           auto p = pointwise::dynamic_params(f.in<float>(in), count);
                           *f.out<float>(scale) = p.scale;
                           *f.out<uint8_t>(zero) = p.zero;
                           pointwise::quantize(f.in<float>(in), f.out(codes), DType::kUint8, count,
                                               p.scale, p.zero);
                           return {};
                         }),
               node);
  return true;
}

Result<bool> lower_quantize_rows(Lowering& lowering, const Node& node) {
  ValueId x = node.input(0);
  const Dims& dims = lowering.dims(x);
  if (lowering.type(x) != DType::kFloat32 || dims.empty() || elements_of(dims) == 0) return false;
  const int64_t cols = dims.back();
  const int64_t rows = elements_of(dims) / cols;
  const bool symmetric = node.get_int("symmetric", 0) != 0;
  if (!symmetric && node.output(2) == kNone) return false;
  SlotId in = lowering.use(x, Layout::kPlain);
  SlotId codes = lowering.define(node.output(0), Layout::kPlain);
  SlotId scale = lowering.define(node.output(1), Layout::kPlain);
  if (symmetric) {
    lowering.add(call_step("dynamic quantize, rows", {in}, {codes, scale},
                           [=](Frame& f) -> Status {
                             pointwise::dynamic_quantize_rows_symmetric(f.in<float>(in),
                                                                        f.out<int8_t>(codes), rows,
                                                                        cols, f.out<float>(scale));
                             return {};
                           }),
                 node);
    return true;
  }
  SlotId zero = lowering.define(node.output(2), Layout::kPlain);
  lowering.add(call_step("dynamic quantize, rows", {in}, {codes, scale, zero},
                         [=](Frame& f) -> Status {
                           std::vector<uint8_t> zeros(static_cast<size_t>(rows));
                           pointwise::dynamic_quantize_rows(f.in<float>(in), f.out<uint8_t>(codes),
                                                            rows, cols, f.out<float>(scale),
                                                            zeros.data());
                           std::copy(zeros.begin(), zeros.end(), f.out<int32_t>(zero));
                           return {};
                         }),
               node);
  return true;
}

// One product. A scale of the whole tensor is repeated for every row: the kernel knows only rows.
class DynamicGemmStep final : public Step {
 public:
  DynamicGemmStep(Int8Gemm gemm, int64_t m, SlotId a, SlotId scale, SlotId zero, SlotId c)
      : gemm_(std::move(gemm)), m_(m), a_(a), scale_(scale), zero_(zero), c_(c) {
    kernel = fmt::format("int8_gemm/{}", name_of(gemm_.isa()));
    weight_bytes = gemm_.packed_bytes();
    reads = {a, scale};
    if (zero != kNone) reads.push_back(zero);
    writes = {c};
  }
  Status run(Frame& frame) override {
    Int8GemmCall call;
    call.m = m_;
    call.a = frame.in(a_);
    call.c = frame.out(c_);
    std::vector<float> scales;
    std::vector<int32_t> zeros;
    call.row_scale = frame.in<float>(scale_);
    if (frame.tensor(scale_).elements() != m_) {
      scales.assign(static_cast<size_t>(m_), call.row_scale[0]);
      call.row_scale = scales.data();
    }
    if (zero_ != kNone && frame.tensor(zero_).type() == DType::kInt32) {
      call.row_zero = frame.in<int32_t>(zero_);
    } else if (zero_ != kNone) {
      zeros.assign(static_cast<size_t>(m_), *frame.in<uint8_t>(zero_));
      call.row_zero = zeros.data();
    }
    gemm_.run(call, frame.threads);
    return {};
  }

 private:
  Int8Gemm gemm_;
  int64_t m_;
  SlotId a_, scale_, zero_, c_;
};

std::vector<int32_t> zeros_of(const Tensor* t) {
  std::vector<int32_t> out;
  for (int64_t i = 0; t != nullptr && i < t->elements(); ++i) {
    out.push_back(t->type() == DType::kInt8 ? t->data<int8_t>()[i] : t->data<uint8_t>()[i]);
  }
  bool all_zero = std::all_of(out.begin(), out.end(), [](int32_t z) { return z == 0; });
  return all_zero ? std::vector<int32_t>{} : out;
}

Result<bool> lower_product(Lowering& lowering, const Node& node) {
  ValueId a = node.input(0);
  ValueId zero = node.input(2);
  const Tensor* b = lowering.graph().constant(node.input(3));
  const Tensor* b_scale = lowering.graph().constant(node.input(4));
  const Tensor* b_zero = lowering.graph().constant(node.input(5));
  const Tensor* bias = lowering.graph().constant(node.input(6));
  const Dims& dims = lowering.dims(a);
  const Dims& out = lowering.dims(node.output(0));
  if (b == nullptr || b->rank() != 2 || b_scale == nullptr || elements_of(dims) == 0 ||
      elements_of(out) == 0 || (node.input(5) != kNone && b_zero == nullptr) ||
      (node.input(6) != kNone && bias == nullptr)) {
    return false;
  }
  Int8GemmSpec spec;
  spec.k = b->dim(0);
  spec.n = b->dim(1);
  spec.a_type = lowering.type(a);
  spec.b_type = b->type();
  spec.b_zero = zeros_of(b_zero);
  spec.output.type = DType::kFloat32;
  auto scales = b_scale->span<float>();
  spec.output.scale.assign(scales.begin(), scales.end());
  if (bias != nullptr) {
    auto values = bias->span<float>();
    spec.output.float_bias.assign(values.begin(), values.end());
  }
  const int64_t m = elements_of(dims) / spec.k;
  const int64_t scale_count = elements_of(lowering.dims(node.input(1)));
  if (scale_count != 1 && scale_count != m) return false;
  if (zero != kNone && elements_of(lowering.dims(zero)) != scale_count) return false;
  FEWBIT_ASSIGN(Int8Gemm gemm, Int8Gemm::prepare(spec, b->raw(), {}));
  SlotId in = lowering.use(a, Layout::kPlain);
  SlotId scale = lowering.use(node.input(1), Layout::kPlain);
  SlotId zeros = zero == kNone ? kNone : lowering.use(zero, Layout::kPlain);
  SlotId target = lowering.define(node.output(0), Layout::kPlain);
  auto step = std::make_unique<DynamicGemmStep>(std::move(gemm), m, in, scale, zeros, target);
  step->macs = m * spec.k * spec.n;
  lowering.add(std::move(step), node);
  return true;
}

constexpr LowerRow kRows[] = {{"", "DynamicQuantizeLinear", lower_dynamic_quantize},
                              {"ai.fewbit", "QuantizeRows", lower_quantize_rows},
                              {"ai.fewbit", "QDynamicMatMul", lower_product}};

}  // namespace

std::span<const LowerRow> int8_dynamic_rows() {
  return kRows;
}

}  // namespace fewbit::lower
