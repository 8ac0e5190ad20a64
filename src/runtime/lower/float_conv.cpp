// Conv and ConvTranspose in float32, or in bfloat16 where the weights are -> oneDNN on
// channels-last activations, with the residual addition and the activation behind them fused.

#include "kernels/dnnl/dnnl.h"
#include "runtime/lower/bfloat16.h"
#include "runtime/lower/tables.h"
#include "runtime/lower/unary_of.h"
#include "runtime/lower/window.h"

namespace fewbit::lower {
namespace {

template <typename Primitive>
class FloatConvStep final : public Step {
 public:
  FloatConvStep(Primitive conv, SlotId in, SlotId residual, SlotId out)
      : conv_(std::move(conv)), in_(in), residual_(residual), out_(out) {
    kernel = "onednn/" + conv_.implementation();
    reads = {in};
    if (residual != kNone) reads.push_back(residual);
    writes = {out};
  }
  Status run(Frame& frame) override {
    const void* residual = residual_ == kNone ? nullptr : frame.in(residual_);
    conv_.execute(frame.in(in_), frame.out(out_), residual);
    return {};
  }

 private:
  Primitive conv_;
  SlotId in_, residual_, out_;
};

// conv + other, where `other` exists already and has the same shape.
ValueId absorb_addition(Lowering& lowering, ValueId value, ValueId& other) {
  const Graph& graph = lowering.graph();
  NodeId reader = lowering.fusable_reader(value);
  if (reader == kNone || !graph.node(reader).is("Add")) return kNone;
  const Node& add = graph.node(reader);
  other = add.input(0) == value ? add.input(1) : add.input(0);
  if (other == value || graph.constant(other) != nullptr || !lowering.is_static(other) ||
      !lowering.is_available(other) || lowering.dims(other) != lowering.dims(value)) {
    return kNone;
  }
  lowering.cover(reader);
  return add.output(0);
}

template <typename Primitive>
Result<bool> lower_conv(Lowering& lowering, const Node& node, int64_t weight_channel_axis) {
  const Graph& graph = lowering.graph();
  const Tensor* w = graph.constant(node.input(1));
  const Tensor* bias = graph.constant(node.input(2));
  if (w == nullptr || w->type() != DType::kFloat32) return false;
  if (node.input(2) != kNone && (bias == nullptr || bias->type() != DType::kFloat32)) return false;
  const Dims& in = lowering.dims(node.input(0));
  const Dims& out = lowering.dims(node.output(0));
  if (in.size() < 3 || in.size() > 5 || elements_of(in) == 0 || elements_of(out) == 0) return false;
  bool transposed = weight_channel_axis == 1;
  std::span<const int64_t> kernel = std::span(w->dims()).subspan(2);
  std::span<const int64_t> spatial_in = std::span(in).subspan(2);
  std::span<const int64_t> spatial_out = std::span(out).subspan(2);
  // A transposed convolution is the same window seen from the other side.
  auto window = transposed ? window_of(node, kernel, spatial_out, spatial_in)
                           : window_of(node, kernel, spatial_in, spatial_out);
  if (!window) return false;
  DnnlConvSpec spec;
  spec.src_dims = in;
  spec.weight_dims = w->dims();
  spec.groups = node.get_int("group", 1);
  spec.strides = window->strides;
  spec.dilations = window->dilations;
  spec.pads_begin = window->pads_begin;
  spec.pads_end = window->pads_end;
  if (transposed) {
    if (node.get_string("auto_pad", "NOTSET") != "NOTSET" || node.has("output_shape")) return false;
    spec.output_padding = node.get_ints("output_padding");
  }
  ValueId result = node.output(0);
  ValueId other = kNone;
  if (ValueId sum = absorb_addition(lowering, result, other); sum != kNone) {
    spec.post.add_residual = true;
    result = sum;
  }
  if (auto activation = absorb_unary(lowering, result, dnnl_can_fuse)) {
    spec.post.activation = activation->unary;
    result = activation->result;
  }
  const float* bias_values = bias == nullptr ? nullptr : bias->data<float>();
  FEWBIT_ASSIGN(Primitive conv, create_in_best_type(lowering, node, result, spec, [&] {
                  return Primitive::create(spec, w->data<float>(), bias_values);
                }));
  const DType stored = spec.dst_type.value_or(spec.type);
  SlotId source = lowering.use(node.input(0), Layout::kChannelsLast, spec.type);
  SlotId residual =
      spec.post.add_residual ? lowering.use(other, Layout::kChannelsLast, stored) : kNone;
  SlotId target = lowering.define(result, Layout::kChannelsLast, stored);
  auto step = std::make_unique<FloatConvStep<Primitive>>(std::move(conv), source, residual, target);
  step->weight_bytes = bytes_of(spec.type, w->elements());
  int64_t per_output = w->elements() / w->dim(weight_channel_axis);
  step->macs =
      transposed ? elements_of(in) * w->elements() / w->dim(0) : elements_of(out) * per_output;
  lowering.add(std::move(step), node);
  return true;
}

Result<bool> lower_float_conv(Lowering& lowering, const Node& node) {
  return lower_conv<DnnlConv>(lowering, node, 0);
}
Result<bool> lower_float_conv_transpose(Lowering& lowering, const Node& node) {
  return lower_conv<DnnlConvTranspose>(lowering, node, 1);
}

constexpr LowerRow kRows[] = {{"", "Conv", lower_float_conv},
                              {"", "ConvTranspose", lower_float_conv_transpose}};

}  // namespace

std::span<const LowerRow> float_conv_rows() {
  return kRows;
}

}  // namespace fewbit::lower
