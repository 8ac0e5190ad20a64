#pragma once
// Pools over channels-last activations [n, spatial..., channels], float32 and 8 bits.
//
//   max      the largest value under the window; padding never wins; NaN is passed over
//   average  float:  sum / count
//            8 bits: clamp(rne(float(sum q - count * zero) * (scale / (out_scale * float(count)))),
//                          lo - out_zero, hi - out_zero) + out_zero
// where count is the number of positions under the window inside the tensor (kExclude), or inside
// the padded tensor (kInclude). The 8-bit formula is ONNX Runtime's QLinearGlobalAveragePool.
// A window that lies wholly in the padding gives the type's lowest value (max) or 0 (average).

#include <cstdint>

#include "base/dtype.h"
#include "kernels/pointwise/qarith/qarith.h"

namespace fewbit::pointwise {

/// Up to three spatial dimensions; unused leading ones are 1 (kernel 1, stride 1, no padding).
/// out[i] is the caller's: it may follow ceil_mode.
struct PoolShape {
  int64_t n = 1, channels = 1;
  int64_t in[3] = {1, 1, 1};
  int64_t out[3] = {1, 1, 1};
  int64_t kernel[3] = {1, 1, 1};
  int64_t stride[3] = {1, 1, 1};
  int64_t dilation[3] = {1, 1, 1};
  int64_t pad_begin[3] = {0, 0, 0};
  int64_t pad_end[3] = {0, 0, 0};
};

enum class PoolCount : uint8_t { kExclude, kInclude };

/// kFloat32, kUint8 or kInt8.
void max_pool(DType type, const PoolShape& shape, const void* src, void* dst);

void average_pool(const PoolShape& shape, PoolCount count, const float* src, float* dst);

/// kUint8 or kInt8.
void average_pool_quantized(DType type, const PoolShape& shape, PoolCount count, const void* src,
                            QAffine from, void* dst, QAffine to);

/// Over all pixels: [n, pixels, channels] -> [n, channels].
void global_average(int64_t n, int64_t pixels, int64_t channels, const float* src, float* dst);
void global_average_quantized(DType type, int64_t n, int64_t pixels, int64_t channels,
                              const void* src, QAffine from, void* dst, QAffine to);

}  // namespace fewbit::pointwise
