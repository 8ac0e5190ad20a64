// The products of this family that `fewbit bench-kernels` measures.

#include "kernels/pattern_codes/pattern_codes.h"
#include "kernels/product_cases.h"

namespace fewbit {
namespace {

constexpr std::string_view kFormats[] = {"ternary1.6/channel", "ternary1.6", "tq1_0", "sherry1.25"};

Result<PatternGemm> make(std::string_view format, int64_t n, int64_t k) {
  std::vector<float> w(static_cast<size_t>(n * k));
  Random(1).fill_normal(w, 0, 1);
  FEWBIT_ASSIGN(const Format parsed, parse_format(format));
  FEWBIT_ASSIGN(const PackedMatrix packed, encode(parsed, {w, n, k, {}}, {.search = false}));
  return PatternGemm::prepare(packed, {});
}

}  // namespace

std::vector<KernelCase> pattern_codes_cases() {
  return product_cases<PatternGemm>(kFormats, make);
}

}  // namespace fewbit
