// The convolutions that `fewbit bench-kernels` measures: with int8 weights, and with weights that
// lie in few bits (the same numbers multiply the same activations). Weights are in the caches, as
// those of a small network are.

#include <memory>

#include "base/random.h"
#include "base/tensor.h"
#include "kernels/int8_conv/int8_conv.h"

namespace fewbit {
namespace {

struct Layer {
  int64_t size, in, out, kernel, stride, groups;
  std::string name() const {
    return fmt::format("{}{}x{}{} {}->{} @{}", groups > 1 ? "depthwise " : "", kernel, kernel,
                       stride > 1 ? " s2" : "", in, out, size);
  }
};

constexpr Layer kLayers[] = {{56, 64, 64, 3, 1, 1},     {14, 256, 256, 3, 1, 1},
                             {56, 256, 64, 1, 1, 1},    {56, 96, 24, 1, 1, 1},
                             {56, 144, 144, 3, 1, 144}, {224, 3, 64, 7, 2, 1}};

Result<KernelSample> prepare(const Layer& l, int bits) {
  Int8ConvSpec spec;
  spec.in_channels = l.in;
  spec.out_channels = l.out;
  spec.groups = l.groups;
  spec.kernel_h = spec.kernel_w = l.kernel;
  spec.stride_h = spec.stride_w = l.stride;
  spec.pad_top = spec.pad_left = l.kernel / 2;
  spec.few_bits = bits < 8;
  spec.output.scale.assign(static_cast<size_t>(l.out), 0.001F);
  std::vector<int8_t> weights(static_cast<size_t>(l.out * l.in / l.groups * l.kernel * l.kernel));
  Random random(1);
  for (int8_t& w : weights) {
    const int code = static_cast<int>(random.below(1ULL << bits));
    w = static_cast<int8_t>(bits == 1 ? 2 * code - 1 : code - (1 << (bits - 1)));
  }
  FEWBIT_ASSIGN(const Int8Conv conv, Int8Conv::prepare(spec, weights.data(), {}));
  Int8ConvShape shape;
  shape.in_h = shape.in_w = l.size;
  shape.out_h = shape.out_w =
      conv_output_size(l.size, l.kernel, l.stride, 1, l.kernel / 2, l.kernel / 2);
  const Tensor x = Tensor::zeros(DType::kUint8, {l.size * l.size * l.in});
  auto y =
      std::make_shared<Tensor>(Tensor::zeros(DType::kUint8, {shape.out_h * shape.out_w * l.out}));
  KernelSample s;
  s.isa = conv.isa();
  s.ops =
      2.0 * static_cast<double>(shape.out_h * shape.out_w) * static_cast<double>(weights.size());
  s.run = [=](int threads) { conv.run(shape, x.raw(), nullptr, y->raw(), threads); };
  s.duplicate = [=] { return *prepare(l, bits); };
  return s;
}

}  // namespace

std::vector<KernelCase> int8_conv_cases() {
  std::vector<KernelCase> cases;
  for (const Layer& l : kLayers) {
    for (const int bits : {8, 4, 3, 2, 1}) {
      if (l.groups > 1 && bits < 8) continue;  // depthwise weights are kept as int8
      const int64_t out =
          conv_output_size(l.size, l.kernel, l.stride, 1, l.kernel / 2, l.kernel / 2);
      cases.push_back({fmt::format("w{}a8", bits), l.name(), out * out, l.out,
                       l.in / l.groups * l.kernel * l.kernel, [=] { return prepare(l, bits); }});
    }
  }
  return cases;
}

}  // namespace fewbit
