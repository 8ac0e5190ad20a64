// The table of instruction sets, and the names of formats.

#include <vector>

#include "kernels/kv_attention/kv_core.h"

namespace fewbit {
namespace {

struct FormatName {
  KvFormat format;
  std::string_view name;
};
constexpr FormatName kFormatNames[] = {{KvFormat::kFloat32, "float32"},
                                       {KvFormat::kBfloat16, "bfloat16"},
                                       {KvFormat::kInt8, "int8"},
                                       {KvFormat::kInt4, "int4"},
                                       {KvFormat::kFp8, "fp8"}};

}  // namespace

std::string_view name_of(KvFormat format) {
  return kFormatNames[static_cast<size_t>(format)].name;
}

std::optional<KvFormat> kv_format_from_name(std::string_view name) {
  for (const FormatName& f : kFormatNames) {
    if (f.name == name) return f.format;
  }
  return std::nullopt;
}

namespace kv {
namespace {

constexpr Kernels kTable[] = {
    {Isa::kScalar, &kScalarRow, nullptr},
#if defined(__x86_64__)
    {Isa::kAvx2, &kAvx2Row, nullptr},
    {Isa::kAvxVnni, &kAvxVnniRow, nullptr},
    {Isa::kAvx512Vnni, &kAvx512VnniRow, nullptr},
    {Isa::kAmx, &kAvx512VnniRow, &kTileRow},
#endif
};

}  // namespace

Result<Kernels> find_kernels(std::optional<Isa> isa) {
  if (!isa) {
    FEWBIT_ASSIGN(isa, selected_isa());
  } else if (!isa_runs_here(*isa)) {
    return unsupported("instruction set {} is not available on this processor", name_of(*isa));
  }
  // The last that `isa` has: there is none for NEON.
  const Kernels* best = nullptr;
  for (const Kernels& kernels : kTable) {
    if (kernels.isa <= *isa) best = &kernels;
  }
  return *best;
}

std::span<const Kernels> all_kernels() {
  static const std::vector<Kernels> here = [] {
    std::vector<Kernels> found;
    for (const Kernels& kernels : kTable) {
      if (isa_runs_here(kernels.isa)) found.push_back(kernels);
    }
    found.push_back({Isa::kScalar, &kScalarRow, &kTileEmulatedRow});
    return found;
  }();
  return here;
}

}  // namespace kv
}  // namespace fewbit
