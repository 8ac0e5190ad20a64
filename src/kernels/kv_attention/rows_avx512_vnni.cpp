// The AVX512-VNNI row, and the tiles with it.

#if defined(__x86_64__)

// g++ 12 takes the undefined pass-through operands of its own intrinsics for a mistake of ours
// (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/kv_attention/kv_core.h"

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")

#include <immintrin.h>

#include "kernels/pointwise/vec/vec_scalar.h"
#include "kernels/kv_attention/lanes_avx512.h"
// The policy first: the kernel headers use it.
#include "kernels/kv_attention/row_kernels.h"

namespace fewbit::kv {

const VectorRow kAvx512VnniRow = vector_row<Lanes512>(Isa::kAvx512Vnni, "avx512_vnni");
const TileRow kTileRow = {"amx", false, tile_rows<NativeTile, Lanes512>};

}  // namespace fewbit::kv

#endif
