// The AVX2 row: 3 rows and one panel use 6 registers for sums, 4 for widened weights and 2 for A.

#if defined(__x86_64__)

#include "kernels/int8_gemm/rows.h"

#pragma GCC target("avx2,fma")

#include "kernels/int8_gemm/vec_avx2.h"
// Policies first: the kernel header uses them.
#include "kernels/int8_gemm/tile_kernel.h"
#include "kernels/int8_gemm/unpack_chunk.h"

namespace fewbit::int8 {
namespace {

void tile(const TileArgs& t, const FinishArgs& f) {
  static constexpr auto kTiles = make_tiles<VecAvx2, 1, 1, 2, 3>();
  kTiles.run[t.rows - 1](t, f);
}

}  // namespace

const Row kAvx2Row = {.isa = Isa::kAvx2,
                      .label = "avx2",
                      .emulated = false,
                      .k_multiple = 4,
                      .tiled_a = false,
                      .signed_a = false,
                      .max_rows = 3,
                      .max_panels = 1,
                      .begin = nullptr,
                      .end = nullptr,
                      .tile = tile,
                      .finish = finish_rows<VecAvx2>,
                      .unpack = Unpacker<32>::run};

}  // namespace fewbit::int8

#endif
