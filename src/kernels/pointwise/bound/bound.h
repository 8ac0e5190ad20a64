#pragma once
// Upper bounds per channel on 8-bit codes: what cross-layer equalization leaves of a clip.

#include <cstdint>

#include "base/dtype.h"

namespace fewbit::pointwise {

/// dst[p, c] = min(src[p, c], bound[c]) over [pixels, channels], channels last. Type kUint8 or
/// kInt8; dst may be src.
void bound_channels(DType type, const void* src, const void* bound, void* dst, int64_t pixels,
                    int64_t channels);

}  // namespace fewbit::pointwise
