// Pools, in float and on codes, channels-last.

#include "kernels/pointwise/pool/pool.h"
#include "runtime/lower/call_step.h"
#include "runtime/lower/qparams.h"
#include "runtime/lower/tables.h"
#include "runtime/lower/window.h"

namespace fewbit::lower {
namespace {

using pointwise::PoolCount;
using pointwise::PoolShape;

std::optional<PoolShape> pool_shape(const Lowering& lowering, const Node& node) {
  const Dims& in = lowering.dims(node.input(0));
  const Dims& out = lowering.dims(node.output(0));
  if (in.size() < 3 || in.size() > 5 || elements_of(in) == 0 || elements_of(out) == 0) {
    return std::nullopt;
  }
  auto window = window_of(node, {}, std::span(in).subspan(2), std::span(out).subspan(2));
  if (!window) return std::nullopt;
  PoolShape shape;
  shape.n = in[0];
  shape.channels = in[1];
  size_t rank = in.size() - 2;
  for (size_t i = 0; i < rank; ++i) {
    size_t to = 3 - rank + i;
    shape.in[to] = in[i + 2];
    shape.out[to] = out[i + 2];
    shape.kernel[to] = window->kernel[i];
    shape.stride[to] = window->strides[i];
    shape.dilation[to] = window->dilations[i];
    shape.pad_begin[to] = window->pads_begin[i];
    shape.pad_end[to] = window->pads_end[i];
  }
  return shape;
}

Result<bool> lower_max_pool(Lowering& lowering, const Node& node) {
  DType type = lowering.type(node.input(0));
  bool known = type == DType::kFloat32 || type == DType::kUint8 || type == DType::kInt8;
  if (!known || node.output(1) != kNone) return false;
  auto shape = pool_shape(lowering, node);
  if (!shape) return false;
  SlotId in = lowering.use(node.input(0), Layout::kChannelsLast);
  SlotId out = lowering.define(node.output(0), Layout::kChannelsLast);
  lowering.add(call_step("pointwise/max_pool", {in}, {out},
                         [=, s = *shape](Frame& f) -> Status {
                           pointwise::max_pool(type, s, f.in(in), f.out(out));
                           return {};
                         }),
               node);
  return true;
}

PoolCount count_of(const Node& node) {
  return node.get_int("count_include_pad", 0) != 0 ? PoolCount::kInclude : PoolCount::kExclude;
}

Result<bool> lower_average_pool(Lowering& lowering, const Node& node) {
  if (lowering.type(node.input(0)) != DType::kFloat32) return false;
  auto shape = pool_shape(lowering, node);
  if (!shape) return false;
  SlotId in = lowering.use(node.input(0), Layout::kChannelsLast);
  SlotId out = lowering.define(node.output(0), Layout::kChannelsLast);
  PoolCount count = count_of(node);
  lowering.add(call_step("pointwise/average_pool", {in}, {out},
                         [=, s = *shape](Frame& f) -> Status {
                           pointwise::average_pool(s, count, f.in<float>(in), f.out<float>(out));
                           return {};
                         }),
               node);
  return true;
}

Result<bool> lower_global_average(Lowering& lowering, const Node& node) {
  const Dims& in_dims = lowering.dims(node.input(0));
  if (lowering.type(node.input(0)) != DType::kFloat32 || in_dims.size() < 3) return false;
  if (elements_of(in_dims) == 0) return false;
  int64_t n = in_dims[0];
  int64_t channels = in_dims[1];
  int64_t pixels = elements_of(in_dims) / (n * channels);
  SlotId in = lowering.use(node.input(0), Layout::kChannelsLast);
  SlotId out = lowering.define(node.output(0), Layout::kPlain);
  lowering.add(call_step("pointwise/global_average", {in}, {out},
                         [=](Frame& f) -> Status {
                           pointwise::global_average(n, pixels, channels, f.in<float>(in),
                                                     f.out<float>(out));
                           return {};
                         }),
               node);
  return true;
}

// (x, x scale, x zero, y scale, y zero), one type.
struct QuantizedPool {
  DType type;
  pointwise::QAffine from, to;
};
std::optional<QuantizedPool> quantized_pool(const Lowering& lowering, const Node& node) {
  DType type = lowering.type(node.input(0));
  auto px = operand_params(lowering, node, 1, 2, type);
  auto py = operand_params(lowering, node, 3, 4, lowering.type(node.output(0)));
  if (!px || !py || !px->is_8bit() || lowering.type(node.output(0)) != type ||
      node.get_int("channels_last", 0) != 0) {
    return std::nullopt;
  }
  return QuantizedPool{type, {px->scale[0], px->zero[0]}, {py->scale[0], py->zero[0]}};
}

Result<bool> lower_quantized_average(Lowering& lowering, const Node& node) {
  auto q = quantized_pool(lowering, node);
  auto shape = q ? pool_shape(lowering, node) : std::nullopt;
  if (!shape) return false;
  SlotId in = lowering.use(node.input(0), Layout::kChannelsLast);
  SlotId out = lowering.define(node.output(0), Layout::kChannelsLast);
  PoolCount count = count_of(node);
  lowering.add(call_step("pointwise/average_pool int8", {in}, {out},
                         [=, s = *shape, p = *q](Frame& f) -> Status {
                           pointwise::average_pool_quantized(p.type, s, count, f.in(in), p.from,
                                                             f.out(out), p.to);
                           return {};
                         }),
               node);
  return true;
}

Result<bool> lower_quantized_global(Lowering& lowering, const Node& node) {
  auto q = quantized_pool(lowering, node);
  const Dims& dims = lowering.dims(node.input(0));
  if (!q || dims.size() < 3 || elements_of(dims) == 0) return false;
  int64_t n = dims[0];
  int64_t channels = dims[1];
  int64_t pixels = elements_of(dims) / (n * channels);
  SlotId in = lowering.use(node.input(0), Layout::kChannelsLast);
  SlotId out = lowering.define(node.output(0), Layout::kPlain);
  lowering.add(call_step("pointwise/global_average int8", {in}, {out},
                         [=, p = *q](Frame& f) -> Status {
                           pointwise::global_average_quantized(p.type, n, pixels, channels,
                                                               f.in(in), p.from, f.out(out), p.to);
                           return {};
                         }),
               node);
  return true;
}

constexpr LowerRow kRows[] = {
    {"", "MaxPool", lower_max_pool},
    {"", "AveragePool", lower_average_pool},
    {"", "GlobalAveragePool", lower_global_average},
    {"com.microsoft", "QLinearAveragePool", lower_quantized_average},
    {"com.microsoft", "QLinearGlobalAveragePool", lower_quantized_global},
};

}  // namespace

std::span<const LowerRow> pool_rows() {
  return kRows;
}

}  // namespace fewbit::lower
