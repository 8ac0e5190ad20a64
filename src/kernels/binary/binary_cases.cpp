// The products of this family that `fewbit bench-kernels` measures. Operations are counted as those
// of the int8 convolution of the same shape: two per multiply-accumulate.

#include <memory>

#include "base/random.h"
#include "kernels/binary/binary.h"

namespace fewbit {
namespace {

struct Layer {
  int64_t size, in, out, kernel;
};
constexpr Layer kLayers[] = {
    {56, 64, 64, 3}, {28, 128, 128, 3}, {14, 256, 256, 3}, {14, 1024, 256, 1}};

struct Operands {
  std::vector<uint64_t> bits;
  std::vector<uint8_t> codes;
  std::vector<int32_t> out;
};

Result<KernelSample> convolution(const Layer& l) {
  BinaryConvSpec spec;
  spec.in_channels = l.in;
  spec.out_channels = l.out;
  spec.kernel_h = spec.kernel_w = l.kernel;
  spec.pad_top = spec.pad_left = l.kernel / 2;
  std::vector<float> weights(static_cast<size_t>(l.out * l.in * l.kernel * l.kernel));
  Random random(1);
  random.fill_normal(weights, 0, 1);
  FEWBIT_ASSIGN(const BinaryConv conv, BinaryConv::prepare(spec, weights));
  auto operands = std::make_shared<Operands>();
  operands->bits.resize(static_cast<size_t>(l.size * l.size * spec.pixel_words()));
  for (uint64_t& word : operands->bits) word = random.next();
  operands->out.resize(static_cast<size_t>(l.size * l.size * l.out));
  KernelSample s;
  s.isa = conv.isa();
  s.arithmetic = KernelArithmetic::kBinary;
  s.bytes = conv.packed_bytes();
  s.ops = 2.0 * static_cast<double>(l.size * l.size) * static_cast<double>(weights.size());
  s.run = [=](int threads) {
    BinaryConvShape shape;
    shape.in_h = shape.in_w = shape.out_h = shape.out_w = l.size;
    conv.run(shape, operands->bits.data(), operands->out.data(), threads);
  };
  s.duplicate = [=] { return *convolution(l); };
  return s;
}

Result<KernelSample> bit_serial(int w_bits, int a_bits, int64_t m, int64_t n, int64_t k) {
  std::vector<uint8_t> codes(static_cast<size_t>(n * k));
  Random random(2);
  for (uint8_t& c : codes) c = static_cast<uint8_t>(random.below(1ULL << w_bits));
  FEWBIT_ASSIGN(const BitSerialGemm gemm, BitSerialGemm::prepare(codes, n, k, w_bits, w_bits - 1));
  auto operands = std::make_shared<Operands>();
  operands->codes.resize(static_cast<size_t>(m * k));
  for (uint8_t& c : operands->codes) c = static_cast<uint8_t>(random.below(1ULL << a_bits));
  operands->out.resize(static_cast<size_t>(m * n));
  KernelSample s;
  s.isa = gemm.isa();
  s.arithmetic = KernelArithmetic::kBinary;
  s.bytes = gemm.packed_bytes();
  s.ops = 2.0 * static_cast<double>(m * n * k);
  s.run = [=](int threads) {
    gemm.run(operands->codes.data(), m, a_bits, operands->out.data(), threads);
  };
  s.duplicate = [=] { return *bit_serial(w_bits, a_bits, m, n, k); };
  return s;
}

}  // namespace

std::vector<KernelCase> binary_cases() {
  std::vector<KernelCase> cases;
  for (const Layer& l : kLayers) {
    cases.push_back({"binary x binary",
                     fmt::format("{}x{} {}->{} @{}", l.kernel, l.kernel, l.in, l.out, l.size),
                     l.size * l.size, l.out, l.in * l.kernel * l.kernel,
                     [=] { return convolution(l); }});
  }
  for (const auto& [w_bits, a_bits] : {std::pair{1, 1}, {1, 2}, {2, 2}, {2, 4}}) {
    const int64_t m = 512, n = 2048, k = 2048;
    cases.push_back({fmt::format("w{}a{} bit-serial", w_bits, a_bits),
                     fmt::format("{}x{}x{}", m, n, k), m, n, k,
                     [=] { return bit_serial(w_bits, a_bits, m, n, k); }});
  }
  return cases;
}

}  // namespace fewbit
