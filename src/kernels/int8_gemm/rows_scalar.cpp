// The scalar row: any processor.

#include "kernels/int8_gemm/rows.h"
#include "kernels/int8_gemm/vec_scalar.h"
// Policies first: the kernel header uses them.
#include "kernels/int8_gemm/tile_kernel.h"
#include "kernels/int8_gemm/unpack_chunk.h"

namespace fewbit::int8 {
namespace {

void tile(const TileArgs& t, const FinishArgs& f) {
  static constexpr auto kTiles = make_tiles<VecScalar, 1, 1, 2, 3, 4>();
  kTiles.run[t.rows - 1](t, f);
}

}  // namespace

const Row kScalarRow = {.isa = Isa::kScalar,
                        .label = "scalar",
                        .emulated = false,
                        .k_multiple = 4,
                        .tiled_a = false,
                        .signed_a = false,
                        .max_rows = 4,
                        .max_panels = 1,
                        .begin = nullptr,
                        .end = nullptr,
                        .tile = tile,
                        .finish = finish_rows<VecScalar>,
                        .unpack = Unpacker<16>::run};

}  // namespace fewbit::int8
