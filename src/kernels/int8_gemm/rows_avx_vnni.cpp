// The AVX-VNNI row: 6 rows and one panel use 12 of the 16 registers for sums.

#if defined(__x86_64__)

#include "kernels/int8_gemm/rows.h"

#pragma GCC target("avx2,fma,avxvnni")
#define FEWBIT_TARGET_AVX_VNNI

#include "kernels/int8_gemm/vec_avx2.h"
// Policies first: the kernel header uses them.
#include "kernels/int8_gemm/tile_kernel.h"
#include "kernels/int8_gemm/unpack_chunk.h"

namespace fewbit::int8 {
namespace {

void tile(const TileArgs& t, const FinishArgs& f) {
  static constexpr auto kTiles = make_tiles<VecAvxVnni, 1, 1, 2, 3, 4, 5, 6>();
  kTiles.run[t.rows - 1](t, f);
}

}  // namespace

const Row kAvxVnniRow = {.isa = Isa::kAvxVnni,
                         .label = "avx_vnni",
                         .emulated = false,
                         .k_multiple = 4,
                         .tiled_a = false,
                         .signed_a = false,
                         .max_rows = 6,
                         .max_panels = 1,
                         .begin = nullptr,
                         .end = nullptr,
                         .tile = tile,
                         .finish = finish_rows<VecAvxVnni>,
                         .unpack = Unpacker<32>::run};

}  // namespace fewbit::int8

#endif
