// QuantizeLinear and DequantizeLinear that stand alone (at the edges of the integer part).

#include "kernels/pointwise/quantize/quantize.h"
#include "runtime/lower/call_step.h"
#include "runtime/lower/qparams.h"
#include "runtime/lower/tables.h"

namespace fewbit::lower {
namespace {

// An integer convolution reads the codes channels-last: quantize and turn in one pass.
bool wants_channels_last(const Lowering& lowering, ValueId codes) {
  for (NodeId reader : lowering.uses().consumers[static_cast<size_t>(codes)]) {
    if (lowering.graph().node(reader).is("QLinearConv")) return true;
  }
  return false;
}

Result<bool> lower_quantize(Lowering& lowering, const Node& node) {
  ValueId x = node.input(0);
  ValueId y = node.output(0);
  DType type = lowering.type(y);
  if (lowering.type(x) != DType::kFloat32 || !pointwise::can_quantize_to(type)) return false;
  auto params = operand_params(lowering, node, 1, 2, type);
  if (!params || !params->per_tensor()) return false;
  const Dims& dims = lowering.dims(x);
  float scale = params->scale[0];
  int32_t zero = params->zero[0];
  Layout layout = kept_layout(lowering, x);
  if (layout == Layout::kPlain && dims.size() >= 3 && wants_channels_last(lowering, y)) {
    SlotId in = lowering.use(x, layout);
    SlotId out = lowering.define(y, Layout::kChannelsLast);
    int64_t n = dims[0];
    int64_t channels = dims[1];
    int64_t pixels = elements_of(dims) / std::max<int64_t>(n * channels, 1);
    lowering.add(call_step("quantize, channels last", {in}, {out},
                           [=](Frame& f) -> Status {
                             pointwise::quantize_to_channels_last(f.in<float>(in), f.out(out), type,
                                                                  n, channels, pixels, channels,
                                                                  scale, zero);
                             return {};
                           }),
                 node);
    return true;
  }
  int64_t count = elements_of(dims);
  SlotId in = lowering.use(x, layout);
  SlotId out = lowering.define(y, layout);
  lowering.add(call_step("quantize", {in}, {out},
                         [=](Frame& f) -> Status {
                           pointwise::quantize(f.in<float>(in), f.out(out), type, count, scale,
                                               zero);
                           return {};
                         }),
               node);
  return true;
}

Result<bool> lower_dequantize(Lowering& lowering, const Node& node) {
  ValueId x = node.input(0);
  ValueId y = node.output(0);
  DType type = lowering.type(x);
  if (lowering.type(y) != DType::kFloat32 || !pointwise::can_quantize_to(type)) return false;
  auto params = operand_params(lowering, node, 1, 2, type);
  if (!params || !params->per_tensor()) return false;
  int64_t count = elements_of(lowering.dims(x));
  float scale = params->scale[0];
  int32_t zero = params->zero[0];
  Layout layout = kept_layout(lowering, x);
  SlotId in = lowering.use(x, layout);
  SlotId out = lowering.define(y, layout);
  lowering.add(call_step("dequantize", {in}, {out},
                         [=](Frame& f) -> Status {
                           pointwise::dequantize(f.in(in), type, f.out<float>(out), count, scale,
                                                 zero);
                           return {};
                         }),
               node);
  return true;
}

constexpr LowerRow kRows[] = {
    {"", "QuantizeLinear", lower_quantize},
    {"com.microsoft", "QuantizeLinear", lower_quantize},
    {"", "DequantizeLinear", lower_dequantize},
    {"com.microsoft", "DequantizeLinear", lower_dequantize},
};

}  // namespace

std::span<const LowerRow> quantize_rows() {
  return kRows;
}

}  // namespace fewbit::lower
