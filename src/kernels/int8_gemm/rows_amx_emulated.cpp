// The AMX row's twin without the instructions, for tests.

#include "kernels/int8_gemm/amx_kernel.h"
#include "kernels/int8_gemm/rows.h"
#include "kernels/int8_gemm/vec_scalar.h"
// Policies first: the kernel header uses them.
#include "kernels/int8_gemm/tile_kernel.h"
#include "kernels/int8_gemm/unpack_chunk.h"

namespace fewbit::int8 {
namespace {

void tile(const TileArgs& tiles, const FinishArgs& finish) {
  alignas(64) int32_t acc[kMaxTileRows * kTileCols] = {};
  TileArgs t = tiles;
  FinishArgs f = finish;
  for (int i = 0; i < tiles.tiles; ++i) {
    AmxTile<EmulatedTile>::sums(t, i, t.partial != nullptr ? t.partial : acc);
    if (t.partial == nullptr) finish_rows<VecScalar>(acc, t.rows, f);
    next_tile(t, f);
  }
}

}  // namespace

const Row kAmxEmulatedRow = {.isa = Isa::kAmx,
                             .label = "amx (emulated)",
                             .emulated = true,
                             .k_multiple = 64,
                             .tiled_a = true,
                             .signed_a = true,
                             .max_rows = 32,
                             .max_panels = 2,
                             .begin = AmxTile<EmulatedTile>::begin,
                             .end = AmxTile<EmulatedTile>::end,
                             .tile = tile,
                             .finish = finish_rows<VecScalar>,
                             .unpack = Unpacker<16>::run};

}  // namespace fewbit::int8
