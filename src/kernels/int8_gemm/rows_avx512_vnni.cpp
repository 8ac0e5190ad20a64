// The AVX512-VNNI row. Tiles of 14 rows and two panels use 28 of the 32 registers for sums: per
// four k, 2 loads of B and 14 broadcasts of A feed 28 VPDPBUSD.

#if defined(__x86_64__)

// g++ 12 takes the undefined pass-through operands of its own intrinsics for a mistake of ours
// (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include "kernels/int8_gemm/rows.h"

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")

#include "kernels/int8_gemm/vec_avx512.h"
// Policies first: the kernel header uses them.
#include "kernels/int8_gemm/tile_kernel.h"
#include "kernels/int8_gemm/unpack_chunk.h"

namespace fewbit::int8 {
namespace {

void tile(const TileArgs& t, const FinishArgs& f) {
  static constexpr auto kOne =
      make_tiles<VecAvx512, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>();
  static constexpr auto kTwo =
      make_tiles<VecAvx512, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>();
  (t.panels == 1 ? kOne.run : kTwo.run)[t.rows - 1](t, f);
}

}  // namespace

const Row kAvx512VnniRow = {.isa = Isa::kAvx512Vnni,
                            .label = "avx512_vnni",
                            .emulated = false,
                            .k_multiple = 4,
                            .tiled_a = false,
                            .signed_a = false,
                            .max_rows = 14,
                            .max_panels = 2,
                            .begin = nullptr,
                            .end = nullptr,
                            .tile = tile,
                            .finish = finish_rows<VecAvx512>,
                            .unpack = Unpacker<64>::run};

}  // namespace fewbit::int8

#endif
