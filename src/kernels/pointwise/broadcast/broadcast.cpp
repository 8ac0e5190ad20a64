#include "kernels/pointwise/broadcast/broadcast.h"

namespace fewbit::pointwise {

Result<BroadcastLoops> collapse_broadcast(std::span<const int64_t> a_dims,
                                          std::span<const int64_t> b_dims) {
  const size_t rank = std::max(a_dims.size(), b_dims.size());
  BroadcastLoops out;
  // Built from the inside out, then turned round.
  int64_t a_stride = 1, b_stride = 1;
  for (size_t i = 0; i < rank; ++i) {
    const int64_t da = i < a_dims.size() ? a_dims[a_dims.size() - 1 - i] : 1;
    const int64_t db = i < b_dims.size() ? b_dims[b_dims.size() - 1 - i] : 1;
    if (da != db && da != 1 && db != 1)
      return bad_input("dimensions {} and {} do not broadcast", da, db);
    const int64_t extent = da == 1 ? db : da;
    const int64_t sa = da == 1 ? 0 : a_stride, sb = db == 1 ? 0 : b_stride;
    a_stride *= da;
    b_stride *= db;
    out.elems *= extent;
    if (extent == 1) continue;
    const int top = out.rank - 1;
    if (out.rank > 0 && sa == out.extent[top] * out.a_stride[top] &&
        sb == out.extent[top] * out.b_stride[top]) {
      out.extent[top] *= extent;
      continue;
    }
    if (out.rank == BroadcastLoops::kMaxRank)
      return unsupported("a broadcast of {} dimensions", rank);
    out.extent[out.rank] = extent;
    out.a_stride[out.rank] = sa;
    out.b_stride[out.rank] = sb;
    ++out.rank;
  }
  if (out.rank == 0) {
    out.rank = 1;
    out.extent[0] = 1;
  }
  std::reverse(out.extent, out.extent + out.rank);
  std::reverse(out.a_stride, out.a_stride + out.rank);
  std::reverse(out.b_stride, out.b_stride + out.rank);
  return out;
}

}  // namespace fewbit::pointwise
