// The scalar row, and the tiles' twin without the instructions, for tests.

#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/kv_attention/kv_core.h"
#include "kernels/kv_attention/lanes_scalar.h"
// The policy first: the kernel headers use it.
#include "kernels/kv_attention/row_kernels.h"

namespace fewbit::kv {

const VectorRow kScalarRow = vector_row<LanesScalar>(Isa::kScalar, "scalar");
const TileRow kTileEmulatedRow = {"amx (emulated)", true, tile_rows<EmulatedTile, LanesScalar>};

}  // namespace fewbit::kv
