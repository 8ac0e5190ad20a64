// The products of this family that `fewbit bench-kernels` measures.

#include "kernels/product_cases.h"
#include "kernels/vector_codes/vector_codes.h"

namespace fewbit {
namespace {

constexpr std::string_view kFormats[] = {"vq2_1x6", "vq2_1x8", "vq4_1x8", "vq4_2x8",
                                         "vq8_1x8", "vq8_2x8", "vq8_3x8"};

// Codes and books at random: to learn them would take long, and time does not depend on them.
Result<VectorGemm> make(std::string_view format, int64_t n, int64_t k) {
  FEWBIT_ASSIGN(const Format parsed, parse_format(format));
  PackedMatrix packed = make_packed(parsed, n, k);
  Random random(1);
  for (const char* part : {"codes", "books"}) {
    Tensor& t = packed.part(part);
    auto* bytes = reinterpret_cast<uint8_t*>(t.raw());
    for (int64_t i = 0; i < t.bytes(); ++i) bytes[i] = static_cast<uint8_t>(random.next());
  }
  Tensor& scales = packed.part("scales");
  for (int64_t i = 0; i < scales.elements(); ++i) {
    store_scale(parsed.scale, 0.01F, scales.raw(), i);
  }
  return VectorGemm::prepare(packed, {});
}

}  // namespace

std::vector<KernelCase> vector_codes_cases() {
  return product_cases<VectorGemm>(kFormats, make);
}

}  // namespace fewbit
