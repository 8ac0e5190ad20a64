#include "kernels/isa.h"

#include <cstdlib>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace fewbit {
namespace {

struct Name {
  Isa isa;
  std::string_view name;
};
constexpr std::array<Name, kAllIsas.size()> kNames = {{{Isa::kScalar, "scalar"},
                                                       {Isa::kNeonDotprod, "neon_dotprod"},
                                                       {Isa::kNeonI8mm, "neon_i8mm"},
                                                       {Isa::kAvx2, "avx2"},
                                                       {Isa::kAvxVnni, "avx_vnni"},
                                                       {Isa::kAvx512Vnni, "avx512_vnni"},
                                                       {Isa::kAmx, "amx"}}};

#if defined(__x86_64__)

bool cpuid_bit(unsigned leaf, unsigned subleaf, int reg, int bit) {
  unsigned regs[4] = {0, 0, 0, 0};
  if (!__get_cpuid_count(leaf, subleaf, &regs[0], &regs[1], &regs[2], &regs[3])) return false;
  return (regs[reg] >> bit) & 1U;
}

// __builtin_cpu_supports also checks that the system saves the registers (XGETBV).
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool has_avx512_vnni() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni") && has_avx2();
}

// CPUID leaf 7, subleaf 1, EAX bit 4 (Intel SDM vol. 2A, CPUID).
bool has_avx_vnni() {
  return has_avx2() && cpuid_bit(7, 1, 0, 4);
}

// CPUID leaf 7, EDX bits 22 (AMX-BF16), 24 (AMX-TILE) and 25 (AMX-INT8). Linux enables the 8 KiB
// tile state per process on request only: ARCH_REQ_XCOMP_PERM with XFEATURE_XTILEDATA = 18
// (Documentation/arch/x86/xstate.rst).
bool request_amx() {
  if (!has_avx512_vnni()) return false;
  for (const int bit : {22, 24, 25}) {
    if (!cpuid_bit(7, 0, 3, bit)) return false;
  }
  constexpr long kArchReqXcompPerm = 0x1023;
  constexpr long kXtileData = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXtileData) == 0;
}

bool detect(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return true;
    case Isa::kNeonDotprod:
    case Isa::kNeonI8mm:
      return false;
    case Isa::kAvx2:
      return has_avx2();
    case Isa::kAvxVnni:
      return has_avx_vnni();
    case Isa::kAvx512Vnni:
      return has_avx512_vnni();
    case Isa::kAmx:
      return request_amx();
  }
  return false;
}

#elif defined(__aarch64__)

// Documentation/arm64/elf_hwcaps.rst. Advanced SIMD itself is part of every 64-bit ARM for Linux.
bool detect(Isa isa) {
  const bool dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  const bool i8mm = (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
  return isa == Isa::kScalar || (isa == Isa::kNeonDotprod && dotprod) ||
         (isa == Isa::kNeonI8mm && dotprod && i8mm);
}

#else

bool detect(Isa isa) {
  return isa == Isa::kScalar;
}

#endif

std::string known_names() {
  std::string out;
  for (const Name& n : kNames) {
    if (!out.empty()) out += ", ";
    out += n.name;
  }
  return out;
}

}  // namespace

std::string_view name_of(Isa isa) {
  return kNames[static_cast<size_t>(isa)].name;
}

std::optional<Isa> isa_from_name(std::string_view name) {
  for (const Name& n : kNames) {
    if (n.name == name) return n.isa;
  }
  return std::nullopt;
}

bool isa_runs_here(Isa isa) {
  static const std::array<bool, kAllIsas.size()> available = [] {
    std::array<bool, kAllIsas.size()> out{};
    for (Isa i : kAllIsas) out[static_cast<size_t>(i)] = detect(i);
    return out;
  }();
  return available[static_cast<size_t>(isa)];
}

bool has_avx512_vbmi() {
#if defined(__x86_64__)
  return isa_runs_here(Isa::kAvx512Vnni) && __builtin_cpu_supports("avx512vbmi");
#else
  return false;
#endif
}

bool has_avx512_vpopcntdq() {
#if defined(__x86_64__)
  return isa_runs_here(Isa::kAvx512Vnni) && __builtin_cpu_supports("avx512vpopcntdq");
#else
  return false;
#endif
}

bool isa_is_forced() {
  const char* forced = std::getenv("FEWBIT_ISA");
  return forced != nullptr && *forced != '\0';
}

Result<Isa> selected_isa() {
  if (!isa_is_forced()) {
    Isa best = Isa::kScalar;
    for (Isa isa : kAllIsas) {
      if (isa_runs_here(isa)) best = isa;
    }
    return best;
  }
  const char* forced = std::getenv("FEWBIT_ISA");
  const std::optional<Isa> isa = isa_from_name(forced);
  if (!isa) {
    return misuse("FEWBIT_ISA={}: unknown instruction set, expected one of {}", forced,
                  known_names());
  }
  if (!isa_runs_here(*isa)) {
    return misuse("FEWBIT_ISA={}: this processor does not have it", forced);
  }
  return *isa;
}

}  // namespace fewbit
