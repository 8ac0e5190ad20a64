#pragma once
// Which instruction sets this processor (and its operating system) offers, and which one a kernel
// family is to use. Every kernel family has one row per Isa; a row is chosen when the weights are
// prepared, because the packing may depend on it.
//
// The environment variable FEWBIT_ISA forces a choice: scalar | neon_dotprod | neon_i8mm | avx2 |
// avx_vnni | avx512_vnni | amx.

#include <array>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace fewbit {

/// In ascending order of preference: where a processor offers several, the last one is used. A
/// family without a row for it takes its last row before it.
enum class Isa {
  kScalar,       ///< Plain C++, any processor.
  kNeonDotprod,  ///< 64-bit ARM with FEAT_DotProd (Armv8.2): SDOT, UDOT.
  kNeonI8mm,     ///< And FEAT_I8MM (Armv8.6): USDOT, unsigned bytes times signed ones.
  kAvx2,         ///< AVX2 and FMA; 8-bit products widened to 16 bits, so exact.
  kAvxVnni,      ///< AVX-VNNI: VPDPBUSD on 256 bits.
  kAvx512Vnni,   ///< AVX-512 F, BW, DQ, VL and VNNI: VPDPBUSD on 512 bits.
  kAmx,          ///< AMX-TILE, AMX-INT8 and AMX-BF16, beside everything of kAvx512Vnni.
};

inline constexpr std::array<Isa, 7> kAllIsas = {Isa::kScalar, Isa::kNeonDotprod, Isa::kNeonI8mm,
                                                Isa::kAvx2,   Isa::kAvxVnni,     Isa::kAvx512Vnni,
                                                Isa::kAmx};

/// "scalar", "avx2", ... as FEWBIT_ISA spells them.
std::string_view name_of(Isa isa);

/// The Isa of that name.
std::optional<Isa> isa_from_name(std::string_view name);

/// True if code for `isa` runs natively here: the processor has it and the system saves its state.
/// The first query for kAmx asks the kernel for permission to use the tile registers.
bool isa_runs_here(Isa isa);

/// True if this processor has AVX512-VBMI (byte permutations across 512 bits); some kAvx512Vnni
/// processors do not.
bool has_avx512_vbmi();

/// The same for AVX512-VPOPCNTDQ (population counts of 32- and 64-bit lanes).
bool has_avx512_vpopcntdq();

/// The best Isa that runs here, or the one FEWBIT_ISA names. An unknown name, or one that does not
/// run here, is an error.
Result<Isa> selected_isa();

/// True if FEWBIT_ISA names one: kernels then take it even where another would be faster.
bool isa_is_forced();

}  // namespace fewbit
