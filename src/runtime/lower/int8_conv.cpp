// QLinearConv -> Int8Conv (kernels/int8_conv), with the Clip on codes and the QLinearAdd behind it
// fused where they are its only readers.

#include "kernels/int8_conv/int8_conv.h"
#include "runtime/lower/integer_layers.h"
#include "runtime/lower/qparams.h"
#include "runtime/lower/tables.h"
#include "runtime/lower/window.h"

namespace fewbit::lower {
namespace {

class Int8ConvStep final : public Step {
 public:
  Int8ConvStep(Int8Conv conv, Int8ConvShape shape, SlotId in, SlotId residual, SlotId out)
      : conv_(std::move(conv)), shape_(shape), in_(in), residual_(residual), out_(out) {
    kernel = fmt::format("int8_conv/{}", name_of(conv_.isa()));
    if (conv_.weight_bits() < 8) kernel += fmt::format("/w{}", conv_.weight_bits());
    weight_bytes = conv_.packed_bytes();
    reads = {in};
    if (residual != kNone) reads.push_back(residual);
    writes = {out};
  }
  Status run(Frame& frame) override {
    const void* residual = residual_ == kNone ? nullptr : frame.in(residual_);
    conv_.run(shape_, frame.in(in_), residual, frame.out(out_), frame.threads);
    return {};
  }

 private:
  Int8Conv conv_;
  Int8ConvShape shape_;
  SlotId in_, residual_, out_;
};

// y = requantize(conv) + residual, if the only reader of `value` is such an addition.
struct FusedAdd {
  Int8Residual residual;
  ValueId other = kNone;
  ValueId result = kNone;
};

std::optional<FusedAdd> fused_add(Lowering& lowering, ValueId value, const QuantParams& product) {
  const Graph& graph = lowering.graph();
  NodeId reader = lowering.fusable_reader(value);
  if (reader == kNone || !graph.node(reader).is("QLinearAdd", "com.microsoft")) return std::nullopt;
  const Node& add = graph.node(reader);
  bool first = add.input(3) == value;  // the residual is the first operand
  ValueId other = add.input(first ? 0 : 3);
  if (other == value || graph.constant(other) != nullptr || !lowering.is_available(other) ||
      lowering.dims(other) != lowering.dims(value) || lowering.type(other) != product.type) {
    return std::nullopt;
  }
  auto theirs = operand_params(lowering, add, first ? 1 : 4, first ? 2 : 5, product.type);
  auto mine = operand_params(lowering, add, first ? 4 : 1, first ? 5 : 2, product.type);
  auto out = operand_params(lowering, add, 6, 7, product.type);
  if (!theirs || !mine || !out) return std::nullopt;
  FusedAdd fused;
  fused.residual.product_scale = mine->scale[0];
  fused.residual.product_zero = mine->zero[0];
  fused.residual.residual_scale = theirs->scale[0];
  fused.residual.residual_zero = theirs->zero[0];
  fused.residual.out_scale = out->scale[0];
  fused.residual.out_zero = out->zero[0];
  fused.residual.residual_first = first;
  auto [lo, hi] = code_range(product.type);
  fused.residual.lo2 = lo;
  fused.residual.hi2 = hi;
  fused.other = other;
  fused.result = add.output(0);
  lowering.cover(reader);
  return fused;
}

Result<bool> lower_qlinear_conv(Lowering& lowering, const Node& node) {
  const Graph& graph = lowering.graph();
  ValueId x = node.input(0);
  FEWBIT_ASSIGN(const std::optional<IntegerWeight> weight, integer_weight(lowering, node.input(3)));
  const Tensor* bias = graph.constant(node.input(8));
  if (!weight || (node.input(8) != kNone && bias == nullptr)) return false;
  const Tensor* w = &weight->values;
  const Dims& in = lowering.dims(x);
  const Dims& out = lowering.dims(node.output(0));
  size_t rank = in.size();
  if (rank != 3 && rank != 4) return false;  // 1-D and 2-D
  DType out_type = lowering.type(node.output(0));
  auto px = operand_params(lowering, node, 1, 2, lowering.type(x));
  auto pw = operand_params(lowering, node, 4, 5, w->type());
  auto py = operand_params(lowering, node, 6, 7, out_type);
  if (!px || !pw || !py || !px->per_tensor() || !py->per_tensor()) return false;
  std::span<const int64_t> kernel = std::span(w->dims()).subspan(2);
  auto window = window_of(node, kernel, std::span(in).subspan(2), std::span(out).subspan(2));
  if (!window || elements_of(out) == 0 || elements_of(in) == 0) return false;

  Int8ConvSpec spec;
  spec.in_channels = in[1];
  spec.out_channels = w->dim(0);
  spec.groups = node.get_int("group", 1);
  size_t last = rank - 3;  // index of the width among the spatial dimensions
  spec.kernel_w = window->kernel[last];
  spec.stride_w = window->strides[last];
  spec.dilation_w = window->dilations[last];
  spec.pad_left = window->pads_begin[last];
  if (rank == 4) {
    spec.kernel_h = window->kernel[0];
    spec.stride_h = window->strides[0];
    spec.dilation_h = window->dilations[0];
    spec.pad_top = window->pads_begin[0];
  }
  spec.input_type = lowering.type(x);
  spec.input_zero = px->zero[0];
  spec.weight_type = w->type();
  spec.few_bits = weight->few_bits;
  bool zero_weights = true;
  for (int32_t z : pw->zero) zero_weights = zero_weights && z == 0;
  if (!zero_weights) spec.weight_zero = pw->zero;
  spec.output.type = out_type;
  for (float s : pw->scale) spec.output.scale.push_back(px->scale[0] * s / py->scale[0]);
  spec.output.zero = py->zero[0];
  std::tie(spec.output.lo, spec.output.hi) = code_range(out_type);

  ValueId result = absorb_clips(lowering, node.output(0), spec.output.lo, spec.output.hi);
  SlotId residual = kNone;
  if (auto add = fused_add(lowering, result, *py)) {
    result = absorb_clips(lowering, add->result, add->residual.lo2, add->residual.hi2);
    residual = lowering.use(add->other, Layout::kChannelsLast);
    spec.output.residual = add->residual;
  }
  std::span<const int32_t> bias_span;
  if (bias != nullptr) bias_span = bias->span<int32_t>();
  FEWBIT_ASSIGN(Int8Conv conv, Int8Conv::prepare(spec, w->raw(), bias_span));
  Int8ConvShape shape;
  shape.batch = in[0];
  shape.in_w = in[rank - 1];
  shape.out_w = out[rank - 1];
  shape.in_h = rank == 4 ? in[2] : 1;
  shape.out_h = rank == 4 ? out[2] : 1;
  SlotId source = lowering.use(x, Layout::kChannelsLast);
  SlotId target = lowering.define(result, Layout::kChannelsLast);
  auto step = std::make_unique<Int8ConvStep>(std::move(conv), shape, source, residual, target);
  step->macs = elements_of(out) * (w->elements() / w->dim(0));
  lowering.add(std::move(step), node);
  return true;
}

constexpr LowerRow kRows[] = {{"", "QLinearConv", lower_qlinear_conv}};

}  // namespace

std::span<const LowerRow> int8_conv_rows() {
  return kRows;
}

}  // namespace fewbit::lower
