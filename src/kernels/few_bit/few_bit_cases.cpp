// The products of this family that `fewbit bench-kernels` measures.

#include "kernels/few_bit/few_bit.h"
#include "kernels/product_cases.h"

namespace fewbit {

// Found by argument where product_cases wants it.
static KernelArithmetic arithmetic_of(const FewBitGemm& gemm) {
  return gemm.activations() == FewBitActivations::kFloat32 ? KernelArithmetic::kFloat32
                                                           : KernelArithmetic::kInt8;
}

namespace {

constexpr std::string_view kFormats[] = {
    "int8/g32", "int8/channel", "int6/g32", "int5/g32", "int4/g32", "int4/g128", "uint4/g32",
    "int4/g32:u6", "int3/g32", "int2/g32", "int2/g64", "ternary", "binary", "q4_0", "q4_K", "q2_K",
    "q8_0", "iq4_nl", "nf4", "mxfp4", "nvfp4", "mxfp6",
    // Activations in float32.
    "int8/g32 x f32", "int4/g32 x f32", "int3/g32 x f32", "int2/g64 x f32", "nf4 x f32",
    "nvfp4 x f32"};

Result<FewBitGemm> make(std::string_view name, int64_t n, int64_t k) {
  constexpr std::string_view kFloat = " x f32";
  FewBitOptions options;
  if (name.ends_with(kFloat)) {
    name.remove_suffix(kFloat.size());
    options.activations = FewBitActivations::kFloat32;
  }
  std::vector<float> w(static_cast<size_t>(n * k));
  Random(1).fill_normal(w, 0, 1);
  FEWBIT_ASSIGN(const Format format, parse_format(name));
  FEWBIT_ASSIGN(const PackedMatrix packed, encode(format, {w, n, k, {}}, {.search = false}));
  return FewBitGemm::prepare(packed, {}, options);
}

}  // namespace

std::vector<KernelCase> few_bit_cases() {
  return product_cases<FewBitGemm>(kFormats, make);
}

}  // namespace fewbit
