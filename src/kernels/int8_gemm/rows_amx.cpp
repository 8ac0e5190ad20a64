// The AMX row: tiles of 32 rows and two panels; the results are finished with AVX-512.

#if defined(__x86_64__)

// g++ 12 takes the undefined pass-through operands of its own intrinsics for a mistake of ours
// (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include "kernels/int8_gemm/rows.h"

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,amx-tile,amx-int8")

#include "kernels/int8_gemm/amx_kernel.h"
#include "kernels/int8_gemm/vec_avx512.h"
// Policies first: the kernel header uses them.
#include "kernels/int8_gemm/tile_kernel.h"
#include "kernels/int8_gemm/unpack_chunk.h"

namespace fewbit::int8 {
namespace {

// Sums from memory to results: in whole registers where the stage allows it.
void finish_sums(const int32_t* acc, int rows, const FinishArgs& f) {
  const bool fused = f.cols > kPanelCols ? VecAvx512::store_fused<2>(acc, rows, f)
                                         : VecAvx512::store_fused<1>(acc, rows, f);
  if (!fused) return finish_rows<VecAvx512>(acc, rows, f);
  if (f.stage->lut == nullptr) return;
  for (int r = 0; r < rows; ++r) {
    uint8_t* out = f.out + r * f.out_stride;
    for (int c = 0; c < f.cols; ++c) out[c] = f.stage->lut[out[c]];
  }
}

// Sums stored by a tile instruction reach a vector load only through the cache. So a tile is
// finished while the next one is being computed.
void tile(const TileArgs& tiles, const FinishArgs& finish) {
  alignas(64) int32_t acc[2][kMaxTileRows * kTileCols];
  TileArgs t = tiles;
  FinishArgs f = finish, before = finish;
  for (int i = 0; i < tiles.tiles; ++i) {
    AmxTile<NativeTile>::sums(t, i, t.partial != nullptr ? t.partial : acc[i % 2]);
    if (t.partial == nullptr && i > 0) finish_sums(acc[(i - 1) % 2], t.rows, before);
    before = f;
    next_tile(t, f);
  }
  if (t.partial == nullptr) finish_sums(acc[(tiles.tiles - 1) % 2], t.rows, before);
}

}  // namespace

const Row kAmxRow = {.isa = Isa::kAmx,
                     .label = "amx",
                     .emulated = false,
                     .k_multiple = 64,
                     .tiled_a = true,
                     .signed_a = true,
                     .max_rows = 32,
                     .max_panels = 2,
                     .begin = AmxTile<NativeTile>::begin,
                     .end = AmxTile<NativeTile>::end,
                     .tile = tile,
                     .finish = finish_sums,
                     .unpack = Unpacker<64>::run};

}  // namespace fewbit::int8

#endif
